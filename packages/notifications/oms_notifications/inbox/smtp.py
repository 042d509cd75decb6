"""SMTP (RFC 5321), as much of it as a receiver of tests needs, with PIPELINING, 8BITMIME, SIZE and SMTPUTF8.

Why not aiosmtpd: it takes 0.3 to 0.5 ms of CPU for a mail, more than all else that happens to an order on its way to
the customer, and the load tests share the machine with it. This takes a tenth of that.
"""

import asyncio
from collections.abc import Callable
from typing import cast

Deliver = Callable[[bytes], "asyncio.Future[None]"]

LINE_LIMIT = 4096
SIZE_LIMIT = 1024 * 1024
_END = b"\r\n.\r\n"
_EXTENSIONS = f"250-inbox\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE {SIZE_LIMIT}\r\n".encode()


class SmtpSession(asyncio.Protocol):
    """One connection. `deliver` gets a mail and answers with a future that is done when the mail is safe."""

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._buffer = bytearray()
        self._replies = bytearray()
        self._sender = False
        self._recipients = 0
        self._in_data = False
        self._delivering = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # create_server's are; uvloop's only behave like it
        self._transport.write(b"220 inbox ESMTP\r\n")

    def connection_lost(self, _exc: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._advance()

    def _advance(self) -> None:
        """Work off what has come, and answer all of it with one write. A mail being delivered holds the rest up."""
        while not self._delivering and (self._take_mail() if self._in_data else self._take_line()):
            pass
        if self._transport is not None and self._replies:
            self._transport.write(bytes(self._replies))
            self._replies.clear()

    def _take_line(self) -> bool:
        end = self._buffer.find(b"\n")
        if end < 0:
            return len(self._buffer) > LINE_LIMIT and self._hang_up(b"500 line too long")
        line = bytes(self._buffer[:end]).strip()
        del self._buffer[: end + 1]
        verb, _, rest = line.partition(b" ")
        return self._command(verb.upper(), rest.upper())

    def _command(self, verb: bytes, rest: bytes) -> bool:
        match verb:
            case b"MAIL" if rest.startswith(b"FROM:"):
                self._reset()
                self._sender = True
                return self._reply(b"250 ok")
            case b"RCPT" if rest.startswith(b"TO:"):
                self._recipients += self._sender
                return self._reply(b"250 ok" if self._sender else b"503 MAIL first")
            case b"DATA":
                self._in_data = self._recipients > 0
                return self._reply(b"354 go on" if self._in_data else b"503 RCPT first")
            case b"EHLO":
                self._replies += _EXTENSIONS
                return True
            case b"HELO" | b"NOOP" | b"RSET":
                self._reset()
                return self._reply(b"250 ok")
            case b"QUIT":
                return self._hang_up(b"221 bye")
        return self._reply(b"500 not understood")

    def _take_mail(self) -> bool:
        end = _end_of_mail(self._buffer)
        if end is None:
            return len(self._buffer) > SIZE_LIMIT and self._hang_up(b"552 too big")
        mail = bytes(self._buffer[:end])
        del self._buffer[: end + 3]
        self._reset()
        self._delivering = True
        self._deliver(_unstuffed(mail)).add_done_callback(self._delivered)
        return False

    def _delivered(self, future: "asyncio.Future[None]") -> None:
        self._delivering = False
        failed = future.cancelled() or future.exception() is not None
        self._reply(b"452 could not be stored" if failed else b"250 kept")
        self._advance()

    def _reset(self) -> None:
        self._sender = self._in_data = False
        self._recipients = 0

    def _reply(self, line: bytes) -> bool:
        self._replies += line + b"\r\n"
        return True

    def _hang_up(self, line: bytes) -> bool:
        if self._transport is not None:
            self._transport.write(bytes(self._replies) + line + b"\r\n")
            self._transport.close()
        self._replies.clear()
        self._buffer.clear()
        self._transport = None
        return False


def _end_of_mail(buffer: bytearray) -> int | None:
    """Where the dot that ends a mail stands. The line break before an empty mail's dot is the one that ended DATA."""
    if buffer.startswith(b".\r\n"):
        return 0
    found = buffer.find(_END)
    return found + 2 if found >= 0 else None


def _unstuffed(mail: bytes) -> bytes:
    """Without the dots that the client doubled at the beginning of lines (RFC 5321, 4.5.2)."""
    if mail.startswith(b".."):
        mail = mail[1:]
    return mail.replace(b"\r\n..", b"\r\n.") if b"\r\n.." in mail else mail
