"""The machine that the tests run on."""

import os


def slowdown() -> float:
    """How many times longer work takes because other programs want the same processors; 1.0 if none does."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
