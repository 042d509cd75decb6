"""Payment Service: charges what was ordered, and gives the money back when there is no stock."""
