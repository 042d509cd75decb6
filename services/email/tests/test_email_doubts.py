"""Mails that may or may not have arrived."""

import pytest
from support.mailing import SENT, Script, notice, outcomes, provider, scripted

from oms_email.connection import Connection
from oms_notifications.notice import InDoubt


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
