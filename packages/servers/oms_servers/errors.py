"""What can go wrong on this machine, each with what to do about it.

LocalError
├── PortTaken        another program listens there
├── DownloadFailed   the network failed, or the file is not the one in the lock file
├── DiskFull
├── ServerDied       a program ended before it was asked to
└── NotReady         a program runs, but does not answer in time
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager


class LocalError(Exception):
    """A failure that the user can repair: `advice` says how."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.message}. {self.advice}".rstrip()


class PortTaken(LocalError):
    """Another program listens on a port that a server needs."""


class DownloadFailed(LocalError):
    """A file could not be fetched, or is not the one in the lock file."""


class DiskFull(LocalError):
    """The disk, or this user's share of it, is full."""


class ServerDied(LocalError):
    """A server's process has ended without being asked to."""


class NotReady(LocalError):
    """A server did not become ready in time."""


@contextmanager
def reporting_full_disk(what: str) -> Iterator[None]:
    """Turn the system's "no space left" into a DiskFull that names what was being written."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskFull(f"The disk is full: could not write {what}", "Free some space and try again") from error
