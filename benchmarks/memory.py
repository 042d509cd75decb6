"""Memory of programs, in MiB: proportional set size, what a process would free by ending, with its share of what it
shares."""

import subprocess
import sys

import psutil

LIBRARIES = ("fastapi", "uvicorn", "kafka", "sqlmodel", "psycopg", "prometheus_client")
_IMPORTING = f"import {', '.join(LIBRARIES)}\nprint(open('/proc/self/smaps_rollup').read())"


def of(pid: int) -> float:
    """A program, with the processes that it has started."""
    main = psutil.Process(pid)
    return sum(float(one.memory_full_info().pss) for one in (main, *main.children(recursive=True))) / 2**20


def of_libraries() -> float:
    """A process that has imported the libraries of a service, and does nothing: the least that a service can have."""
    said = subprocess.run([sys.executable, "-c", _IMPORTING], capture_output=True, text=True, check=True, timeout=60)
    kibibytes = next(line.split()[1] for line in said.stdout.splitlines() if line.startswith("Pss:"))
    return int(kibibytes) / 1024
