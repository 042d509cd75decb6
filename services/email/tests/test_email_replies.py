"""What a mail server's replies mean: about a recipient, about us, or for now."""

import tracemalloc
from typing import Any

import pytest
from pydantic import SecretStr
from support.mailing import HANG_UP, SENT, WITHOUT_END, RudeServer, Script, notice, outcomes, provider, scripted
from support.serving import serving

from oms_chassis.jobs.queue import Outcome, Paused, Retry, Unavailable
from oms_notifications.notice import InDoubt, refused


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
def test_a_permanent_refusal_of_anything_else_may_be_repaired(answer: str, kind: type[Outcome]) -> None:
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


def outcome_of(answers: dict[bytes, bytes], **changes: Any) -> Outcome:
    with serving(RudeServer(answers)) as server, provider(server.server_address[1], **changes) as smtp:
        return smtp.send(notice())


@pytest.mark.parametrize("challenge", [b"334 !", b"334 YQ", b"334 \xff\xfe", b"334"])
def test_a_login_that_cannot_be_read_is_no_fault_of_the_recipient(challenge: bytes) -> None:
    """The failure does not count against a mail, or an outage of six hours would make every mail be given up."""
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
def test_an_endless_answer_is_cut_off_and_does_not_fill_the_memory(command: bytes, expected: Outcome) -> None:
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


def test_a_server_that_wants_a_login_is_no_fault_of_the_recipient() -> None:
    assert outcomes(Script(rcpt=["530 login first"])) == [Paused("smtp: 530 about the recipient")]
