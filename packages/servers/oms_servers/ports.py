"""TCP ports of this machine."""

import fcntl
import os
import secrets
import socket
import tempfile
from functools import cache
from pathlib import Path

import psutil

# Below the range from which the kernel takes ports for outgoing connections: one of those could otherwise occupy a port
# between our choice and the moment when a server binds it.
FIRST, LAST = 20_000, 32_000
_given: set[int] = set()


def free_port() -> int:
    """Return a port that nothing listens on. No two living processes of this user get the same one, nor does this
    process get it twice."""
    while True:
        port = FIRST + secrets.randbelow(LAST - FIRST)
        if port not in _given and _reserve(port) and not is_taken(port):
            _given.add(port)
            return port


def _reserve(port: int) -> bool:
    """Reserve the port for this process until its end, or return False if another process has it. A reservation locks
    one byte of a shared file, so that all of them need only one descriptor."""
    reservations = _reservations(os.getpid())
    try:
        fcntl.lockf(reservations, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except (BlockingIOError, PermissionError):  # which of them depends on the system
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
    """Return the program that listens on a port, as far as this user may know: "nginx (process 4711)"."""
    try:
        listeners = [c for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr[1:] == (port,)]
        pids = [c.pid for c in listeners if c.pid]
        return f"{psutil.Process(pids[0]).name()} (process {pids[0]})" if pids else "another program"
    except psutil.Error:
        return "another program"
