"""Measures the memory of programs in MiB, as proportional set size: private pages, and a share of the shared ones."""

import subprocess
import sys

import psutil

LIBRARIES = ("fastapi", "uvicorn", "kafka", "sqlmodel", "psycopg", "prometheus_client")
_IMPORTING = f"import {', '.join(LIBRARIES)}\nprint(open('/proc/self/smaps_rollup').read())"


def of(pid: int) -> float:
    """Return the memory of a program, including the processes that it has started."""
    main = psutil.Process(pid)
    return sum(float(one.memory_full_info().pss) for one in (main, *main.children(recursive=True))) / 2**20


def of_libraries() -> float:
    """Return the memory of a process that only imports a service's libraries: the minimum for a service."""
    said = subprocess.run([sys.executable, "-c", _IMPORTING], capture_output=True, text=True, check=True, timeout=60)
    kibibytes = next(line.split()[1] for line in said.stdout.splitlines() if line.startswith("Pss:"))
    return int(kibibytes) / 1024
