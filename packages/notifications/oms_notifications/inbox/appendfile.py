"""A file that only grows, and whose end is always a whole number of entries."""

import os
from pathlib import Path
from typing import BinaryIO


class AppendFile:
    """Appended to by one thread at a time; read by any, meanwhile."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("ab+", buffering=0)
        self.end = 0  # of the last whole entry, in bytes; whoever loads the file moves it there

    def append(self, data: bytes) -> None:
        """Have data on disk; or raise OSError and leave the file as it was."""
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) :]
            os.fdatasync(self._file.fileno())
        except OSError:
            self.cut()
            raise
        self.end += len(data)

    def read(self, start: int, length: int) -> bytes:
        """Some of what was appended."""
        return os.pread(self._file.fileno(), length, start)

    def cut(self) -> None:
        """Drop what is behind the last whole entry: it was never acknowledged."""
        os.ftruncate(self._file.fileno(), self.end)

    def close(self) -> None:
        self._file.close()
