"""Helpers that tests share, such as the deployment under test and ways to place orders in it."""
