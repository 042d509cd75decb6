"""What a provider's server sends, until a deadline, and whether it sends what nobody asked for."""

import errno
import io
import math
import select
import socket
import time
from typing import Any


class Answers(io.RawIOBase):
    """A socket to be read until a moment on the monotonic clock, and for at most so many seconds for each piece.

    A socket's own time limit is for each piece alone, so that a server that sends a byte now and then could hold a
    thread for ever.
    """

    def __init__(self, sock: socket.socket, deadline: float = 0.0, piece_seconds: float = math.inf) -> None:
        self._sock, self.deadline, self._piece_seconds = sock, deadline, piece_seconds
        self.room = math.inf  # bytes that are still read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Raises TimeoutError when the deadline has passed, OSError when there is no room for more."""
        if self.room <= 0:
            raise OSError(errno.EMSGSIZE, "an answer without end")
        self._sock.settimeout(min(self._piece_seconds, left(self.deadline)))
        came = self._sock.recv_into(buffer)
        self.room -= came
        return came


def is_silent(sock: socket.socket) -> bool:
    """Whether a connection that is kept can be used again: one with something to read was closed by the server, or it
    says that it is going to be."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return not poll.poll(0)


def left(deadline: float) -> float:
    """Seconds until a moment on the monotonic clock. Raises TimeoutError when it has passed."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds
