"""Mail servers that take one mail a connection, or few connections."""

import socket
import socketserver
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.chassis import eventually
from support.mailing import _USUAL, HELLO, Rude, RudeServer, notice, provider
from support.serving import serving

from oms_chassis.jobs.queue import Done, Unavailable
from oms_notifications.notice import InDoubt


class OneMail(socketserver.StreamRequestHandler):
    """A server that takes one mail by each connection, and then hangs up without being asked."""

    server: "OneMailServer"

    def handle(self) -> None:
        self.wfile.write(b"220 hello\r\n")
        while line := self.rfile.readline():
            self.wfile.write(_USUAL[line[:4].upper().rstrip()] + b"\r\n")
            if line.upper() == b"DATA\r\n":
                break
        while line not in (b".\r\n", b""):
            line = self.rfile.readline()
        self.wfile.write(b"250 ok\r\n" + self.server.last)

    def finish(self) -> None:
        super().finish()
        self.connection.shutdown(socket.SHUT_RDWR)
        self.server.ended.set()


class OneMailServer(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, last: bytes) -> None:
        super().__init__(("127.0.0.1", 0), OneMail)
        self.last, self.ended = last, threading.Event()


@pytest.mark.parametrize("last", [b"", b"421 4.7.0 one mail is enough\r\n"])
def test_a_server_that_hangs_up_after_each_mail_costs_no_attempt(last: bytes) -> None:
    with serving(OneMailServer(last)) as server, provider(server.server_address[1]) as smtp:
        for number in range(3):
            assert isinstance(smtp.send(notice(f"o-{number}")), Done)
            assert server.ended.wait(10)
            server.ended.clear()


TAKEN = b"250 taken"


class Narrow(Rude):
    """A server that takes a few connections at a time, and sends the others away as soon as they come."""

    server: "NarrowServer"

    def setup(self) -> None:
        super().setup()
        with self.server.lock:
            self.server.open += 1
            self.is_one_too_many = self.server.open > self.server.most

    def handle(self) -> None:
        if not self.is_one_too_many:
            super().handle()
            return
        self.server.sent_away.append(time.monotonic())
        self.wfile.write(self.server.refusal)

    def _say(self, answer: bytes) -> None:
        if answer == HELLO:
            eventually(lambda: self.server.sent_away)  # the first ones are still connecting when a further one comes
        if answer == TAKEN:
            self.server.taken.append(time.monotonic())
        super()._say(answer)

    def finish(self) -> None:
        with self.server.lock:
            self.server.open -= 1
        super().finish()


class NarrowServer(RudeServer):
    def __init__(self, most: int, refusal: bytes) -> None:
        super().__init__({b".": TAKEN}, Narrow)
        self.most, self.refusal, self.lock, self.open = most, refusal, threading.Lock(), 0
        self.sent_away: list[float] = []
        self.taken: list[float] = []


@pytest.mark.parametrize("refusal", [b"421 4.7.0 Too many connections\r\n", b""])
def test_a_mail_waits_for_its_turn_at_a_server_that_takes_few_connections(refusal: bytes) -> None:
    """Large providers take three. Each further one failed its mail, and three of them paused the queue."""
    with (
        serving(NarrowServer(3, refusal)) as server,
        provider(server.server_address[1]) as smtp,
        ThreadPoolExecutor(8) as pool,
    ):
        found = list(pool.map(lambda number: smtp.send(notice(f"o-{number}")), range(80)))
    assert [outcome for outcome in found if not isinstance(outcome, Done)] == []
    assert len(server.taken) == 80
    assert len(server.sent_away) <= 5, "and it is not asked for more all the time"


def test_a_thread_that_waits_for_a_connection_does_not_delay_the_end() -> None:
    server = NarrowServer(1, b"421 4.7.0 Too many connections\r\n")
    server.answers[b"."] = b"250-thinking"  # and no more: the first mail waits for the rest of its answer
    with serving(server), provider(server.server_address[1]) as smtp, ThreadPoolExecutor(2) as pool:
        sending = [pool.submit(smtp.send, notice(f"o-{number}")) for number in range(2)]
        eventually(lambda: server.sent_away)
        smtp.close()
        found = {type(one.result(timeout=20)) for one in sending}
    assert found <= {InDoubt, Unavailable}


def test_nobody_waits_for_a_server_that_accepts_no_connection() -> None:
    with serving(NarrowServer(0, b"421 4.3.2 Closed\r\n")) as server, provider(server.server_address[1]) as smtp:
        began = time.monotonic()
        assert smtp.send(notice()) == Unavailable("smtp: SMTPConnectError 421")
        assert time.monotonic() - began < 5
