"""What figures were measured on."""

import os
import platform

import psutil


def describe() -> str:
    """Cores, processor and memory."""
    memory = psutil.virtual_memory().total / 2**30
    return f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GiB, Python {platform.python_version()}"
