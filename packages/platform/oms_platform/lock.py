"""The lock of what is up: of an open file, so that it ends with the process, and can be looked at without being taken.

A look that takes it, however briefly, would refuse whoever takes it in the same moment.
"""

import fcntl
import os
import struct
from typing import IO

_LOCK = "hhqqi4x"  # struct flock: type, whence, start, length, pid, which is 0 here


def take(file: IO[str]) -> bool:
    """Take it, for as long as the file is open; False when somebody has it."""
    try:
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, _whole(fcntl.F_WRLCK))
    except (BlockingIOError, PermissionError):
        return False
    return True


def is_taken(file: IO[str]) -> bool:
    """Whether somebody else has it."""
    found = fcntl.fcntl(file, fcntl.F_OFD_GETLK, _whole(fcntl.F_WRLCK))
    return bool(struct.unpack(_LOCK, found)[0] != fcntl.F_UNLCK)


def _whole(kind: int) -> bytes:
    return struct.pack(_LOCK, kind, os.SEEK_SET, 0, 0, 0)
