"""The way by SMTP: against the mail catcher, and against servers that refuse, fail and hang up."""

import asyncio
import re
import socket
import socketserver
import ssl
import threading
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from pydantic import SecretStr
from support import certificates
from support.chassis import eventually
from support.notices import RunningMailCatcher, running_mail_catcher
from support.serving import serving

from oms_chassis.jobs.queue import Done, Outcome, Paused, Retry, Unavailable
from oms_email import domain
from oms_email.connection import Connection
from oms_email.domain import Mail
from oms_email.provider import SmtpProvider
from oms_email.settings import EmailSettings
from oms_notifications.notice import InDoubt, Notice, refused, sent, turned_down
from oms_servers.testing import free_port

SENT = sent("<o-1.confirmed@example.com>")


@contextmanager
def provider(port: int, **changes: Any) -> Iterator[SmtpProvider]:
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
    return Notice(order_id, "confirmed", to, "Hello\n.\n..dots\n", "Your order")


class Script:
    """A server's answers to RCPT and to the mail, one after the other, then yes for ever. `None` hangs up instead.

    It thinks for so many seconds before it answers to a mail that it has.
    """

    def __init__(
        self, rcpt: list[str | None] | None = None, mail: list[str | None] | None = None, thinks: float = 0.0
    ) -> None:
        self.rcpt, self.mail, self.thinks = rcpt or [], mail or [], thinks
        self.taken: list[str] = []
        self.recipients: list[str] = []
        self.sessions: set[int] = set()

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, to: str, _: Any) -> str:  # noqa: N802 - aiosmtpd's
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
    controller = Controller(script, hostname="127.0.0.1", port=free_port(), **options)
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


def outcomes(script: Script, calls: int = 1, to: str = "ann@example.com") -> list[Outcome]:
    with scripted(script, enable_SMTPUTF8=False) as port, provider(port) as smtp:
        return [smtp.send(notice(to=to)) for _ in range(calls)]


@pytest.fixture(scope="module")
def catcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMailCatcher]:
    with running_mail_catcher(tmp_path_factory.mktemp("mailcatcher"), free_port(), free_port()) as running:
        yield running


def test_a_mail_arrives_as_it_was_written(catcher: RunningMailCatcher) -> None:
    with provider(catcher.smtp_port) as smtp:
        assert smtp.send(notice()) == SENT
    (found,) = catcher.messages(orderId="o-1")
    assert found["to"] == "ann@example.com"
    assert found["subject"] == "Your order"
    assert found["text"] == "Hello\n.\n..dots\n"
    assert found["messageId"] == "<o-1.confirmed@example.com>"


def test_many_threads_share_a_few_connections(catcher: RunningMailCatcher) -> None:
    with provider(catcher.smtp_port) as smtp, ThreadPoolExecutor(8) as pool:
        before = catcher.counts()
        found = list(pool.map(lambda number: smtp.send(notice(f"many-{number}")), range(400)))
    assert all(isinstance(outcome, Done) for outcome in found)
    assert catcher.counts()["email"] - before["email"] == 400
    assert catcher.counts()["emailDeliveries"] - before["emailDeliveries"] == 400


def test_an_address_beyond_ascii_is_sent_where_the_server_takes_it(catcher: RunningMailCatcher) -> None:
    with provider(catcher.smtp_port) as smtp:
        assert isinstance(smtp.send(notice("wide", to="zoë@example.com")), Done)
    assert catcher.messages(orderId="wide")[0]["to"] == "zoë@example.com"
    assert outcomes(Script(), to="zoë@example.com") == [turned_down("the mail server takes no address beyond ASCII")]


def test_a_domain_of_any_script_is_reached_through_any_server() -> None:
    script = Script()
    assert outcomes(script, to="ann@straße.example") == [SENT]
    assert script.recipients == ["ann@xn--strae-oqa.example"]
    assert outcomes(script, to=f"ann@{'ü' * 64}.example") == [refused("no address that mail can be sent to")]


def test_a_server_that_was_restarted_is_connected_to_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oms_email.pool.PING_AFTER", 0.0)
    smtp_port, http_port = free_port(), free_port()
    with provider(smtp_port) as smtp:
        assert smtp.send(notice()) == Paused("smtp: ConnectionRefusedError")
        for order_id in ("o-1", "o-2"):
            with running_mail_catcher(tmp_path / "catcher", smtp_port, http_port) as catcher:
                assert isinstance(smtp.send(notice(order_id)), Done)
                assert len(catcher.messages(orderId=order_id)) == 1


def test_a_server_that_was_restarted_in_the_moment_between_two_mails_costs_no_attempt(tmp_path: Path) -> None:
    smtp_port, http_port = free_port(), free_port()
    with provider(smtp_port) as smtp:
        with running_mail_catcher(tmp_path / "catcher", smtp_port, http_port):
            assert smtp.send(notice()) == SENT
        with running_mail_catcher(tmp_path / "catcher", smtp_port, http_port) as catcher:
            assert isinstance(smtp.send(notice("o-2")), Done)
            assert len(catcher.messages(orderId="o-2")) == 1


def test_connections_are_used_again() -> None:
    script = Script()
    assert outcomes(script, calls=5) == [SENT] * 5
    assert len(script.sessions) == 1


@pytest.mark.parametrize("answer", ["451 try later", "450 mailbox busy", "452 full"])
def test_a_temporary_no_is_tried_again(answer: str) -> None:
    code = answer[:3]
    assert outcomes(Script(rcpt=[answer]), 2) == [Retry(f"smtp: {code} about the recipient"), SENT]
    assert outcomes(Script(mail=[answer]), 2) == [Retry(f"smtp: {code} about the mail"), SENT]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("550 no such user", "550"),
        ("553 mailbox name not allowed", "553"),
        ("550 5.1.1 No such user", "550 5.1.1"),
        ("554 5.1.2 No such domain", "554 5.1.2"),
        ("556 5.1.10 The domain takes no mail", "556 5.1.10"),
        ("550 5.2.1 The mailbox is disabled", "550 5.2.1"),
    ],
)
def test_a_permanent_no_about_the_recipient_is_an_outcome(answer: str, reason: str) -> None:
    assert outcomes(Script(rcpt=[answer]), 2) == [refused(f"smtp: {reason} about the recipient"), SENT]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("554 Transaction failed", Retry),
        ("554 5.7.1 Relay access denied", Unavailable),
        ("550 5.7.1 Client host rejected", Unavailable),
        ("550 5.4.5 Daily sending quota exceeded", Unavailable),
        ("550 5.3.2 System not accepting messages", Unavailable),
        ("550 5.5.1 Bad sequence of commands", Retry),
        ("550 5.1.8 The sender's domain does not exist", Retry),
        ("550 5.2.2 Mailbox full", Retry),
        ("550 4.1.1 Ask again", Retry),
        ("535 5.7.8 Authentication credentials invalid", Paused),
    ],
)
def test_a_permanent_no_about_anything_else_may_be_repaired(answer: str, kind: type[Outcome]) -> None:
    for script in (Script(rcpt=[answer]), Script(mail=[answer])):
        first, second = outcomes(script, 2)
        assert type(first) is kind
        assert second == SENT


def test_a_mailbox_that_is_found_missing_only_with_the_mail_is_an_outcome() -> None:
    script = Script(mail=["550 5.1.1 No such user", "550 Not today"])
    assert outcomes(script, 2) == [refused("smtp: 550 5.1.1 about the mail"), Retry("smtp: 550 about the mail")]


def test_a_server_that_offers_no_tls_or_no_login_is_no_fault_of_the_recipient() -> None:
    login = {"smtp_username": "shop", "smtp_password": SecretStr("x")}
    with scripted(Script()) as port:
        for changes, lacking in (({"smtp_starttls": True}, "STARTTLS"), (login, "AUTH")):
            with provider(port, **changes) as smtp:
                assert smtp.send(notice(to="zoë@example.com")) == Paused(f"smtp: no {lacking} offered")


class Rude(socketserver.StreamRequestHandler):
    """A server that answers to some commands as the test says, and to the others with yes."""

    server: "RudeServer"

    def handle(self) -> None:
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
    daemon_threads = True

    def __init__(self, answers: dict[bytes, bytes], handler: type[Rude] = Rude) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.answers = answers


HELLO, HANG_UP = b"220 hello", b""
_USUAL = {b"EHLO": b"250 hello", b"MAIL": b"250 ok", b"RCPT": b"250 ok", b"DATA": b"354 go on", b".": b"250 ok"}
WITHOUT_END = b"250-and then\r\n"


def outcome_of(answers: dict[bytes, bytes], **changes: Any) -> Outcome:
    with serving(RudeServer(answers)) as server, provider(server.server_address[1], **changes) as smtp:
        return smtp.send(notice())


@pytest.mark.parametrize("challenge", [b"334 !", b"334 YQ", b"334 \xff\xfe", b"334"])
def test_a_login_that_cannot_be_read_is_no_fault_of_the_recipient(challenge: bytes) -> None:
    """It counts against no mail, or an outage of six hours would give up all of its mails."""
    answers = {b"EHLO": b"250-hello\r\n250 AUTH CRAM-MD5", b"AUTH": challenge}
    outcome = outcome_of(answers, smtp_username="shop", smtp_password=SecretStr("secret"), smtp_timeout=1.0)
    assert isinstance(outcome, Paused | Unavailable)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (b"EHLO", Unavailable("smtp: SMTPServerDisconnected")),
        (b"RCPT", Unavailable("smtp: SMTPServerDisconnected")),
        (b".", InDoubt("smtp: SMTPServerDisconnected, in doubt")),
    ],
)
def test_an_answer_without_end_is_none_and_not_kept(command: bytes, expected: Outcome) -> None:
    """A server that has the whole mail is waited for ten minutes: its lines would fill the memory."""
    tracemalloc.start()
    try:
        assert outcome_of({command: WITHOUT_END}, smtp_timeout=5.0, smtp_mail_timeout=5.0) == expected
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("command", [b"MAIL", b"RCPT", b"DATA"])
def test_a_server_that_hangs_up_before_it_has_the_mail_has_not_served_it(command: bytes) -> None:
    """If it does so each time, it is at fault, and the queue is to be paused."""
    assert outcome_of({command: HANG_UP}) == Unavailable("smtp: SMTPServerDisconnected")


@pytest.mark.parametrize("hello", [b"250 hello", b"250-hello\r\n250 PIPELINING"])
@pytest.mark.parametrize("yes", [b"200 fine", b"251 will forward", b"252 will try", b"250-long\r\n250 story"])
def test_whatever_yes_a_server_says_to_a_command_the_mail_is_sent(yes: bytes, hello: bytes) -> None:
    """The first digit of a reply decides (RFC 5321, 4.2)."""
    assert outcome_of({b"EHLO": hello, b"MAIL": yes, b"RCPT": yes}) == SENT


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({b"EHLO": b"500 what?", b"HELO": b"554 no"}, "SMTPHeloError 554"),
        ({b"EHLO": b"250-hi\r\n250 AUTH PLAIN", b"AUTH": b"534 5.7.9 Use a password of this program"}, "534"),
        ({b"EHLO": b"250-hi\r\n250 AUTH PLAIN", b"AUTH": b"454 4.7.0 Not now"}, "SMTPAuthenticationError 454"),
    ],
)
def test_a_server_s_no_before_any_mail_is_named_with_its_code(answers: dict[bytes, bytes], reason: str) -> None:
    """A password that has expired is repaired otherwise than a server that cannot look it up for now."""
    outcome = outcome_of(answers, smtp_username="shop", smtp_password=SecretStr("secret"))
    assert isinstance(outcome, Paused)
    assert outcome.reason.endswith(reason)


def test_a_server_that_thinks_about_a_mail_gets_it_once() -> None:
    script = Script(thinks=1.0)
    with scripted(script) as port, provider(port, smtp_timeout=0.5) as smtp:
        assert [smtp.send(notice()), smtp.send(notice("o-2"))] == [SENT, sent("<o-2.confirmed@example.com>")]
    assert len(script.taken) == 2


def test_other_answers_are_waited_for_no_longer_after_a_mail_than_before() -> None:
    script = Script()
    with scripted(script) as port, provider(port, smtp_timeout=0.5) as smtp:
        assert smtp.send(notice()) == SENT
        script.rcpt = ["silence"]
        assert smtp.send(notice()) == Unavailable("smtp: SMTPServerDisconnected")


def test_a_server_that_trickles_its_answer_does_not_hold_a_call_for_ever() -> None:
    def trickle(listener: socket.socket, over: threading.Event) -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            while not over.wait(0.1):
                connection.sendall(b"2")

    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        serving = pool.submit(trickle, listener, over)
        with provider(listener.getsockname()[1], smtp_timeout=1.0) as smtp:
            began = time.monotonic()
            assert smtp.send(notice()) == Unavailable("smtp: SMTPServerDisconnected")
            assert time.monotonic() - began < 10
        over.set()
        serving.result(10)


def test_a_mail_that_waits_for_its_answer_does_not_hold_up_the_end() -> None:
    script = Script(thinks=60.0)
    with scripted(script) as port, provider(port) as smtp, ThreadPoolExecutor(1) as pool:
        sending = pool.submit(smtp.send, notice())
        eventually(lambda: len(script.taken) == 1)
        smtp.close()
        assert sending.result(timeout=20) == InDoubt("smtp: SMTPServerDisconnected, in doubt")


def test_a_server_that_wants_a_login_is_no_fault_of_the_recipient() -> None:
    assert outcomes(Script(rcpt=["530 login first"])) == [Paused("smtp: 530 about the recipient")]


def test_a_connection_that_breaks_during_a_mail_is_replaced_for_the_next_try() -> None:
    script = Script(rcpt=["250 ok", None])
    assert outcomes(script, 3) == [SENT, Unavailable("smtp: SMTPServerDisconnected"), SENT]
    assert len(script.taken) == 2


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


def test_who_waits_for_a_turn_does_not_hold_up_the_end() -> None:
    server = NarrowServer(1, b"421 4.7.0 Too many connections\r\n")
    server.answers[b"."] = b"250-thinking"  # and no more: the first mail waits for the rest of its answer
    with serving(server), provider(server.server_address[1]) as smtp, ThreadPoolExecutor(2) as pool:
        sending = [pool.submit(smtp.send, notice(f"o-{number}")) for number in range(2)]
        eventually(lambda: server.sent_away)
        smtp.close()
        found = {type(one.result(timeout=20)) for one in sending}
    assert found <= {InDoubt, Unavailable}


def test_a_server_that_takes_no_connection_is_waited_for_by_nobody() -> None:
    with serving(NarrowServer(0, b"421 4.3.2 Closed\r\n")) as server, provider(server.server_address[1]) as smtp:
        began = time.monotonic()
        assert smtp.send(notice()) == Unavailable("smtp: SMTPConnectError 421")
        assert time.monotonic() - began < 5


def test_a_server_that_says_it_is_going_is_connected_to_again() -> None:
    script = Script(rcpt=["250 ok", "421 closing"])
    first, second, third = outcomes(script, 3)
    assert (first, third) == (SENT, SENT)
    assert isinstance(second, Unavailable)


def test_whatever_goes_wrong_once_a_mail_is_out_leaves_its_fate_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    script, getreply, errors = Script(), Connection.getreply, [OverflowError()]

    def failing(connection: Connection) -> tuple[int, bytes]:
        if connection.in_doubt and errors:
            raise errors.pop()
        return getreply(connection)

    monkeypatch.setattr(Connection, "getreply", failing)
    with scripted(script) as port, provider(port) as smtp:
        assert smtp.send(notice()) == InDoubt("smtp: OverflowError, in doubt")
        assert smtp.send(notice()) == SENT
    assert len(script.sessions) == 2


def test_a_mail_whose_fate_is_unknown_is_repeated_under_the_same_message_id() -> None:
    script = Script(mail=[None])
    assert outcomes(script, 2) == [InDoubt("smtp: SMTPServerDisconnected, in doubt"), SENT]
    first, second = (mail.split("Message-ID: ")[1].splitlines()[0] for mail in script.taken)
    assert first == second == "<o-1.confirmed@example.com>"


@pytest.mark.parametrize("answer", ["what?", "25", "999 ok", "354 go on"])
def test_a_reply_to_a_mail_that_says_neither_yes_nor_no_leaves_its_fate_unknown(answer: str) -> None:
    """As from a server that breaks down while it answers: it has the mail, and may have sent it on."""
    script = Script(mail=[answer])
    first, second = outcomes(script, 2)
    assert isinstance(first, InDoubt)
    assert second == SENT


@pytest.mark.parametrize("answer", ["200 ok", "251 will forward", "252 will try"])
def test_whatever_yes_a_server_says_the_mail_is_sent_and_not_repeated(answer: str) -> None:
    assert outcomes(Script(mail=[answer])) == [SENT]


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


def test_a_mail_that_cannot_be_addressed_is_never_sent() -> None:
    script = Script()
    hostile = "a@b>\r\nRCPT TO:<c@d"
    assert outcomes(script, to=hostile) == [refused("no address that mail can be sent to")]
    assert script.sessions == set()


@pytest.mark.parametrize("error", [ValueError("a@b.example"), IndexError(), UnicodeEncodeError("ascii", "a", 0, 1, "")])
def test_a_mail_that_cannot_be_written_is_refused_and_costs_no_connection(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, compose = Script(), domain.compose

    def failing(mail: Mail, at: float) -> bytes:
        if mail.order_id == "o-2":
            raise error
        return compose(mail, at)

    monkeypatch.setattr(domain, "compose", failing)
    with scripted(script) as port, provider(port) as smtp:
        assert smtp.send(notice()) == SENT
        assert smtp.send(notice("o-2")) == refused(f"no mail can be written of it: {type(error).__name__}")
        assert smtp.send(notice()) == SENT
    assert len(script.sessions) == 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificates.certificate(tmp_path_factory.mktemp("tls"))


def guarded(certificate: Path, password: bytes) -> dict[str, Any]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def login(_: Any, __: Any, ___: Any, ____: Any, data: Any) -> AuthResult:
        return AuthResult(success=isinstance(data, LoginPassword) and data.password == password, handled=False)

    demands = {"require_starttls": True, "auth_required": True}
    return {"tls_context": context, "authenticator": login, **demands}


def test_mail_goes_encrypted_and_with_a_login_where_that_is_set(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    script = Script()
    secrets = {"smtp_starttls": True, "smtp_username": "shop"}
    with scripted(script, **guarded(certificate, b"right")) as port:
        with provider(port, smtp_password=SecretStr("right"), **secrets) as smtp:
            assert smtp.send(notice()) == SENT
        with provider(port, smtp_password=SecretStr("wrong"), **secrets) as smtp:
            assert smtp.send(notice()) == Paused("smtp: SMTPAuthenticationError 535")
        with provider(port) as smtp:
            assert smtp.send(notice()) == Paused("smtp: 530 about the sender")
    assert len(script.taken) == 1


def test_mail_goes_encrypted_from_the_first_byte_where_that_is_set(certificate: Path) -> None:
    script, ca = Script(), certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca)
    with scripted(script, ssl_context=context) as port:
        with provider(port, smtp_implicit_tls=True, smtp_ca_file=ca) as smtp:
            assert [smtp.send(notice()) for _ in range(2)] == [SENT, SENT]
        with provider(port, smtp_implicit_tls=True) as smtp:
            assert smtp.send(notice()) == Paused("smtp: SSLCertVerificationError: self-signed")
    assert len(script.taken) == 2


def test_a_server_that_does_not_encrypt_from_the_first_byte_is_said_not_to(certificate: Path) -> None:
    """As port 587 does where the settings are those of 465."""
    with scripted(Script()) as port, provider(port, smtp_implicit_tls=True, smtp_ca_file=certificate) as smtp:
        outcome = smtp.send(notice())
    assert isinstance(outcome, Paused)
    assert re.fullmatch("smtp: SSLError: [A-Z0-9_]+", outcome.reason)


def test_an_encrypted_mail_that_waits_for_its_answer_does_not_hold_up_the_end(certificate: Path) -> None:
    script, ca = Script(thinks=60.0), certificate
    demands = {key: value for key, value in guarded(certificate, b"right").items() if key != "auth_required"}
    with scripted(script, **demands) as port, ThreadPoolExecutor(1) as pool:
        with provider(port, smtp_starttls=True, smtp_ca_file=ca) as smtp:
            sending = pool.submit(smtp.send, notice())
            eventually(lambda: len(script.taken) == 1)
        outcome = sending.result(timeout=20)
    assert isinstance(outcome, InDoubt)


@pytest.mark.parametrize(("wrong", "what"), [({"days": -1}, "expired"), ({"host": "127.0.0.2"}, "of another address")])
def test_a_certificate_that_is_wrong_is_said_to_be_so(tmp_path: Path, wrong: dict[str, Any], what: str) -> None:
    file = certificates.certificate(tmp_path, **wrong)
    settings = {"smtp_starttls": True, "smtp_ca_file": file}
    with scripted(Script(), **guarded(file, b"right")) as port, provider(port, **settings) as smtp:
        assert smtp.send(notice()) == Paused(f"smtp: SSLCertVerificationError: {what}")


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(certificate: Path) -> None:
    with scripted(Script(), **guarded(certificate, b"right")) as port, provider(port, smtp_starttls=True) as smtp:
        assert smtp.send(notice()) == Paused("smtp: SSLCertVerificationError: self-signed")
