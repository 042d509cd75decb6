"""The lock of a running platform, on an open file: it ends with the process, and can be checked without taking it.

A check that took it, however briefly, would make an attempt to take it at the same moment fail.
"""

import fcntl
import os
import struct
from typing import IO

_LOCK = "hhqqi4x"  # struct flock: type, whence, start, length, pid, which is 0 here


def take(file: IO[str]) -> bool:
    """Take the lock for as long as the file is open. Return False if another process has it."""
    try:
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, _whole(fcntl.F_WRLCK))
    except (BlockingIOError, PermissionError):
        return False
    return True


def is_taken(file: IO[str]) -> bool:
    """Whether another process has the lock."""
    found = fcntl.fcntl(file, fcntl.F_OFD_GETLK, _whole(fcntl.F_WRLCK))
    return bool(struct.unpack(_LOCK, found)[0] != fcntl.F_UNLCK)


def _whole(kind: int) -> bytes:
    return struct.pack(_LOCK, kind, os.SEEK_SET, 0, 0, 0)
