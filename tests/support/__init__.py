"""What the end-to-end, crash and card tests share: the deployment under test, and ways to place orders in it."""
