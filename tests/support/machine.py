"""The machine that the tests run on."""

import os
import platform

import psutil


def slowdown() -> float:
    """Return the factor by which work takes longer because other programs use the processors; 1.0 if none does."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def describe() -> str:
    """Describe the cores, the processor and the memory."""
    memory = psutil.virtual_memory().total / 2**30
    return f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GiB, Python {platform.python_version()}"
