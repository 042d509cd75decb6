"""Appends whole pieces to a file that only grows."""

import os
from typing import Protocol


class File(Protocol):
    """An unbuffered file that was opened to be appended to."""

    def seek(self, offset: int, whence: int, /) -> int: ...

    def write(self, data: bytes, /) -> int | None: ...

    def truncate(self, size: int, /) -> int: ...


def append(file: File, piece: bytes) -> int:
    """Append all of a piece, or nothing of it, and return where it begins. Raises OSError if the disk refuses it."""
    start = file.seek(0, os.SEEK_END)
    try:
        written = file.write(piece)
    except OSError:
        file.truncate(start)
        raise
    if written != len(piece):
        file.truncate(start)
        raise OSError("the disk is full")
    return start
