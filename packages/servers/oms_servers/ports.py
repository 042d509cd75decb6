"""TCP ports of this machine."""

import fcntl
import os
import secrets
import socket
import tempfile
from functools import cache
from pathlib import Path

import psutil

# Below the range from which the kernel takes ports for outgoing connections: one of those could otherwise sit on
# a port between the moment that we choose it and the moment that a server binds it.
FIRST, LAST = 20_000, 32_000
_given: set[int] = set()


def free_port() -> int:
    """A port that nothing listens on, never given twice by this process, nor by two of this user that live."""
    while True:
        port = FIRST + secrets.randbelow(LAST - FIRST)
        if port not in _given and _reserve(port) and not is_taken(port):
            _given.add(port)
            return port


def _reserve(port: int) -> bool:
    """Whether the port is this process's from now until its end: between being chosen and being bound, a port would be
    anybody's. One byte of a shared file is locked for each, which needs one descriptor for all of them."""
    reservations = _reservations(os.getpid())
    try:
        fcntl.lockf(reservations, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except (BlockingIOError, PermissionError):  # either, by the system
        return False
    return True


@cache
def _reservations(pid: int) -> int:  # noqa: ARG001 - a forked process has no lock of its parent's
    path = Path(tempfile.gettempdir(), f"oms-ports-{os.getuid()}")
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def is_taken(port: int) -> bool:
    """Whether binding the port fails, on any address of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104 - never listens; any address must be free
        except OSError:
            return True
    return False


def answers(port: int) -> bool:
    """Whether something on this machine accepts connections on the port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0):
            return True
    except OSError:
        return False


def holder(port: int) -> str:
    """The program that listens on a port, as far as this user may know: "nginx (process 4711)"."""
    try:
        listeners = [c for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr[1:] == (port,)]
        pids = [c.pid for c in listeners if c.pid]
        return f"{psutil.Process(pids[0]).name()} (process {pids[0]})" if pids else "another program"
    except psutil.Error:
        return "another program"
