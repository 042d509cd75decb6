"""A pool of connections to the mail server: they stay open, and there are as many as are needed, or as it accepts."""

import smtplib
import threading
import time
from collections.abc import Callable

from oms_email import connection
from oms_email.connection import Connection

PING_AFTER = 1.0  # seconds after which an unused connection is checked before it is used again
IDLE = 30.0  # seconds after which an unused connection is dropped: servers hang up on silent clients
FULL = 10.0  # seconds for which a server that refused a further connection is not asked for one
LOOK = 0.5  # seconds between two looks of a waiting thread whether anybody still has a connection


class Pool:
    """A pool for several threads. A thread that has taken a connection gives it back, or drops it."""

    def __init__(self, connect: Callable[[], Connection], patience: float) -> None:
        self._connect, self._patience = connect, patience
        self._changed = threading.Condition()
        self._idle: list[tuple[Connection, float]] = []
        self._busy: set[Connection] = set()
        self._under_way = 0  # connections that are being made
        self._full_until = 0.0
        self._is_closed = False

    def take(self) -> Connection:
        """Return the connection that was used last, if it is still usable, or a new one. If the server accepts no
        further one, wait until one is given back.

        Raises OSError, which includes smtplib's errors, or ValueError.
        """
        deadline = time.monotonic() + self._patience
        while (smtp := self._kept() or self._further(deadline)) is None:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._idle), LOOK)
        return smtp

    def give(self, smtp: Connection) -> None:
        """Give a connection back, so that others can use it."""
        if self._is_closed:
            self.drop(smtp)
            return
        with self._changed:
            self._busy.discard(smtp)
            self._idle.append((smtp, time.monotonic()))
            self._changed.notify()

    def drop(self, smtp: Connection) -> None:
        """Close a connection that cannot be used any more."""
        connection.hang_up(smtp)
        with self._changed:
            self._busy.discard(smtp)

    def close(self) -> None:
        """Close all connections for good. Threads that wait for an answer or a connection get an error."""
        with self._changed:
            self._is_closed = True
            busy, (idle, self._idle) = list(self._busy), (self._idle, [])
        for smtp in busy:
            connection.interrupt(smtp)
        for smtp, _ in idle:
            connection.hang_up(smtp)

    def _kept(self) -> Connection | None:
        while (found := self._last()) is not None:
            smtp, since = found
            unused = time.monotonic() - since
            is_usable = connection.is_open(smtp) and unused < IDLE
            if is_usable and (unused < PING_AFTER or connection.answers(smtp)):
                return smtp
            self.drop(smtp)
        return None

    def _last(self) -> tuple[Connection, float] | None:
        with self._changed:
            if not self._idle:
                return None
            found = self._idle.pop()
            self._busy.add(found[0])
            return found

    def _further(self, deadline: float) -> Connection | None:
        """Return a new connection, or None if the server accepts no more and there is time to wait for another one."""
        if self._is_closed:
            raise smtplib.SMTPServerDisconnected
        if time.monotonic() < deadline and self._is_full():
            return None
        try:
            smtp = self._made()
        except (smtplib.SMTPResponseException, smtplib.SMTPServerDisconnected) as error:
            if time.monotonic() >= deadline or not (_may_mean_full(error) and self._note_full()):
                raise
            return None
        if self._is_closed:  # in the meantime, so `close` has not interrupted this connection
            self.drop(smtp)
            raise smtplib.SMTPServerDisconnected
        return smtp

    def _made(self) -> Connection:
        with self._changed:
            self._under_way += 1
        try:
            smtp = self._connect()
            with self._changed:
                self._busy.add(smtp)
            return smtp
        finally:
            with self._changed:
                self._under_way -= 1

    def _is_full(self) -> bool:
        with self._changed:
            return time.monotonic() < self._full_until and self._are_there()

    def _note_full(self) -> bool:
        """Note that the server has refused a connection. Return whether the other ones may be the reason."""
        with self._changed:
            self._full_until = time.monotonic() + FULL
            return self._are_there()

    def _are_there(self) -> bool:
        return bool(self._busy or self._idle or self._under_way)


def _may_mean_full(error: smtplib.SMTPException) -> bool:
    """Whether a connection, or its login, was refused temporarily or without an answer."""
    return not isinstance(error, smtplib.SMTPResponseException) or 400 <= error.smtp_code < 500
