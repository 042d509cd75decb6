"""Reads from a provider's socket with a deadline, and checks whether an idle connection can be reused."""

import errno
import io
import math
import select
import socket
import time
from typing import Any


class Answers(io.RawIOBase):
    """A socket that is read until a deadline on the monotonic clock, and waits at most `piece_seconds` for each piece.

    A socket's own timeout covers single reads only, so that a server that sends a byte now and then could occupy a
    thread for ever.
    """

    def __init__(self, sock: socket.socket, deadline: float = 0.0, piece_seconds: float = math.inf) -> None:
        self._sock, self.deadline, self._piece_seconds = sock, deadline, piece_seconds
        self.room = math.inf  # the number of bytes that may still be read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Raises TimeoutError after the deadline, OSError if the answer is too long."""
        if self.room <= 0:
            raise OSError(errno.EMSGSIZE, "an answer without end")
        self._sock.settimeout(min(self._piece_seconds, left(self.deadline)))
        came = self._sock.recv_into(buffer)
        self.room -= came
        return came


def is_silent(sock: socket.socket) -> bool:
    """Whether an idle connection can be reused: if there is something to read, the server has closed it, or announces
    that it will."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return not poll.poll(0)


def left(deadline: float) -> float:
    """Seconds until a deadline on the monotonic clock. Raises TimeoutError once it has passed."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds
