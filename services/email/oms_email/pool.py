"""The connections to the mail server: they stay open, and there are as many as are needed, or as it takes."""

import smtplib
import threading
import time
from collections.abc import Callable

from oms_email import connection
from oms_email.connection import Connection

PING_AFTER = 1.0  # seconds within which an unused connection need not be asked whether it still is one
IDLE = 30.0  # seconds after which an unused connection is not trusted any more: servers hang up on the silent
FULL = 10.0  # seconds for which a server that takes no further connection is not asked for one
LOOK = 0.5  # seconds after which who waits looks whether anybody still has one


class Pool:
    """Used by several threads. What one takes, it gives back, or drops."""

    def __init__(self, connect: Callable[[], Connection], patience: float) -> None:
        self._connect, self._patience = connect, patience
        self._changed = threading.Condition()
        self._idle: list[tuple[Connection, float]] = []
        self._busy: set[Connection] = set()
        self._under_way = 0  # connections that somebody is making
        self._full_until = 0.0
        self._is_closed = False

    def take(self) -> Connection:
        """The connection that was used last, if it still is one; else a further one. If the server takes no more of
        them, the next that is given back is waited for.

        Raises OSError, as smtplib's errors are, or ValueError.
        """
        deadline = time.monotonic() + self._patience
        while (smtp := self._kept() or self._further(deadline)) is None:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._idle), LOOK)
        return smtp

    def give(self, smtp: Connection) -> None:
        """Let others use it."""
        if self._is_closed:
            self.drop(smtp)
            return
        with self._changed:
            self._busy.discard(smtp)
            self._idle.append((smtp, time.monotonic()))
            self._changed.notify()

    def drop(self, smtp: Connection) -> None:
        """Close it: it is of no more use."""
        connection.hang_up(smtp)
        with self._changed:
            self._busy.discard(smtp)

    def close(self) -> None:
        """Close all, for good. Whoever waits for an answer gets none, and whoever waits for a connection."""
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
        """None if the server takes no more than there are, and there is time to wait for one of these."""
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
        if self._is_closed:  # since it was asked for: nobody would interrupt it any more
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
        """The server has turned one away; whether that may be for those that there are, or are about to be."""
        with self._changed:
            self._full_until = time.monotonic() + FULL
            return self._are_there()

    def _are_there(self) -> bool:
        return bool(self._busy or self._idle or self._under_way)


def _may_mean_full(error: smtplib.SMTPException) -> bool:
    """Whether a connection, or the login by it, was refused for now, or without a word."""
    return not isinstance(error, smtplib.SMTPResponseException) or 400 <= error.smtp_code < 500
