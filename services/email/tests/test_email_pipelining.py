"""Servers that take the commands of a mail together."""

import socketserver
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.mailing import SENT, notice, provider
from support.serving import serving

from oms_chassis.jobs.queue import Outcome, Retry, Unavailable
from oms_notifications.notice import refused


class Pipeline(socketserver.StreamRequestHandler):
    """A server that answers to MAIL, RCPT and DATA when it has all three, and to whatever comes next."""

    server: "PipelineServer"

    def handle(self) -> None:
        self._say("220 hello")
        while line := self.rfile.readline():
            if line.lower().startswith(b"ehlo"):
                self._say("250-test", "250 PIPELINING")
            elif line.lower().startswith(b"mail"):
                self.server.commands += [line, self.rfile.readline(), self.rfile.readline()]
                self._say(*self.server.replies)
                self._take()

    def _take(self) -> None:
        mail = b""
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            mail += line
        if line:
            self.server.mails.append(mail)
            self._say("250 ok")

    def _say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())


class PipelineServer(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, *replies: str) -> None:
        super().__init__(("127.0.0.1", 0), Pipeline)
        self.replies = replies
        self.commands: list[bytes] = []
        self.mails: list[bytes] = []


@contextmanager
def pipelining(*replies: str) -> Iterator[PipelineServer]:
    with serving(PipelineServer(*replies)) as server:
        yield server


def test_a_server_that_offers_pipelining_gets_the_commands_of_a_mail_together() -> None:
    with pipelining("250 ok", "250 ok", "354 go on") as server, provider(server.server_address[1]) as smtp:
        assert [smtp.send(notice()), smtp.send(notice())] == [SENT, SENT]
    assert [command[:4].lower() for command in server.commands] == [b"mail", b"rcpt", b"data"] * 2
    assert len(server.mails) == 2
    assert b"Hello\r\n..\r\n...dots\r\n" in server.mails[0]


@pytest.mark.parametrize(
    ("replies", "outcome"),
    [
        (
            ("250 ok", "550 5.1.1 no such user", "554 no valid recipients"),
            refused("smtp: 550 5.1.1 about the recipient"),
        ),
        (("250 ok", "550 5.1.1 no such user", "354 go on"), refused("smtp: 550 5.1.1 about the recipient")),
        (("250 ok", "450 4.2.0 greylisted", "503 no recipients"), Retry("smtp: 450 4.2.0 about the recipient")),
        (("550 not you", "503 need MAIL", "503 need MAIL"), Unavailable("smtp: 550 about the sender")),
        (("250 ok", "250 ok", "451 4.3.0 not now"), Retry("smtp: 451 4.3.0 about the mail")),
    ],
)
def test_what_a_pipelining_server_refuses_ends_as_without_it_and_no_mail_follows(
    replies: tuple[str, ...], outcome: Outcome
) -> None:
    with pipelining(*replies) as server, provider(server.server_address[1]) as smtp:
        assert smtp.send(notice()) == outcome
    assert server.mails == []
