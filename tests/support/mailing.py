"""The email provider, with mail servers that answer as a test plans."""

import asyncio
import socketserver
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from aiosmtpd.controller import Controller

from oms_chassis.jobs.queue import Outcome
from oms_email.provider import SmtpProvider
from oms_email.settings import EmailSettings
from oms_notifications.notice import Notice, sent
from oms_servers.testing import free_port

SENT = sent("<o-1.confirmed@example.com>")


@contextmanager
def provider(port: int, **changes: Any) -> Iterator[SmtpProvider]:
    """Yield a provider that uses the server on this port."""
    settings = EmailSettings(
        database_url="postgresql://unused",
        kafka_bootstrap="unused:1",
        smtp_host="127.0.0.1",
        smtp_port=port,
        email_from="Shop <shop@example.com>",
        **{"smtp_timeout": 20.0, **changes},
    )
    made = SmtpProvider(settings)
    try:
        yield made
    finally:
        made.close()


def notice(order_id: str = "o-1", to: str = "ann@example.com") -> Notice:
    """Return a notice to this address."""
    return Notice(order_id, "confirmed", to, "Hello\n.\n..dots\n", "Your order")


class Script:
    """A server's answers to RCPT and to the mail, one after the other, and then only positive ones. `None` hangs up.

    The server waits for this many seconds before it answers a mail that it has received.
    """

    def __init__(
        self, rcpt: list[str | None] | None = None, mail: list[str | None] | None = None, thinks: float = 0.0
    ) -> None:
        self.rcpt, self.mail, self.thinks = rcpt or [], mail or [], thinks
        self.taken: list[str] = []
        self.recipients: list[str] = []
        self.sessions: set[int] = set()

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, to: str, _: Any) -> str:  # noqa: N802 - aiosmtpd's
        """Return the answer to RCPT."""
        self.sessions.add(id(session))
        self.recipients.append(to)
        answer = self.rcpt.pop(0) if self.rcpt else "250 ok"
        if answer == "silence":
            await asyncio.sleep(60)
        if answer is None:
            server.transport.abort()
            return "250 never seen"
        if answer.startswith("250"):
            envelope.rcpt_tos.append(to)
        return answer

    async def handle_DATA(self, server: Any, _: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's
        """Return the answer to a mail."""
        answer = self.mail.pop(0) if self.mail else "250 ok"
        if answer is None or answer.startswith("250"):
            self.taken.append(envelope.content.decode())
        await asyncio.sleep(self.thinks)
        if answer is None:
            server.transport.abort()
            return "250 never seen"
        return answer


@contextmanager
def scripted(script: Script, **options: Any) -> Iterator[int]:
    """Yield the port of a server with these answers."""
    controller = Controller(script, hostname="127.0.0.1", port=free_port(), **options)
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


def outcomes(script: Script, calls: int = 1, to: str = "ann@example.com") -> list[Outcome]:
    """Send this many mails, and return their outcomes."""
    with scripted(script, enable_SMTPUTF8=False) as port, provider(port) as smtp:
        return [smtp.send(notice(to=to)) for _ in range(calls)]


class Rude(socketserver.StreamRequestHandler):
    """A server that answers some commands as the test plans, and the others positively."""

    server: "RudeServer"

    def handle(self) -> None:
        """Answer until the client disconnects."""
        self._say(HELLO)
        with suppress(OSError):
            while line := self.rfile.readline():
                verb = b"." if line == b".\r\n" else line[:4].upper()
                if verb in self.server.answers:
                    if self.server.answers[verb] == HANG_UP:
                        return
                    self._say(self.server.answers[verb])
                elif verb in _USUAL:
                    self._say(_USUAL[verb])

    def _say(self, answer: bytes) -> None:
        while answer.endswith(WITHOUT_END):
            self.wfile.write(answer * 1000)
        self.wfile.write(answer + b"\r\n")


class RudeServer(socketserver.ThreadingTCPServer):
    """Answers command by command; a subclass of the handler may behave even worse."""

    daemon_threads = True

    def __init__(self, answers: dict[bytes, bytes], handler: type[Rude] = Rude) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.answers = answers


HELLO, HANG_UP = b"220 hello", b""
_USUAL = {b"EHLO": b"250 hello", b"MAIL": b"250 ok", b"RCPT": b"250 ok", b"DATA": b"354 go on", b".": b"250 ok"}


WITHOUT_END = b"250-and then\r\n"
