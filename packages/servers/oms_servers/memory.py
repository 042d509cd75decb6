"""Folders in memory: where there is enough of it, what is thrown away need not pass a disk's file system.

A database of Postgres is 350 files. To make them on ext4 takes 0.2 s of CPU, and here a twentieth of that.
"""

import os
import shutil
from pathlib import Path

import psutil

PLACE = Path("/dev/shm")  # noqa: S108 - folders in it are made by mkdtemp
ROOM = 6 * 1024**3  # bytes to spare; the servers of a run take a third of it


def place_of_folders() -> Path | None:
    """Where to make folders; None where there is no such place, as on macOS, or not the room, as in most containers."""
    if not os.access(PLACE, os.W_OK):
        return None
    spare = min(shutil.disk_usage(PLACE).free, psutil.virtual_memory().available)
    return PLACE if spare >= ROOM else None


def prefix(name: str) -> str:
    """What the name of a folder of this process begins with."""
    return f"{name}-{os.getpid()}-"


def remove_orphans(name: str) -> None:
    """Remove the folders of processes that could not do so themselves: on a disk they would wait, here they weigh."""
    for folder in PLACE.glob(f"{name}-*-*"):
        owner = folder.name.removeprefix(f"{name}-").partition("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)
