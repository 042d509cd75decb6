"""The machine that the tests run on."""

import os
import platform

import psutil


def slowdown() -> float:
    """How many times longer work takes because other programs want the same processors; 1.0 if none does."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def describe() -> str:
    """Cores, processor and memory."""
    memory = psutil.virtual_memory().total / 2**30
    return f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GiB, Python {platform.python_version()}"
