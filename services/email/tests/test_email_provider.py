"""Mails arrive as they were written, by connections that are kept."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.mailing import SENT, Script, notice, outcomes, provider, scripted
from support.notices import RunningMailCatcher, running_mail_catcher

from oms_chassis.jobs.queue import Done, Paused, Unavailable
from oms_email import domain
from oms_email.domain import Mail
from oms_notifications.notice import refused, turned_down
from oms_servers.testing import free_port


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


def test_a_connection_that_breaks_during_a_mail_is_replaced_for_the_next_try() -> None:
    script = Script(rcpt=["250 ok", None])
    assert outcomes(script, 3) == [SENT, Unavailable("smtp: SMTPServerDisconnected"), SENT]
    assert len(script.taken) == 2


def test_a_server_that_says_it_is_going_is_connected_to_again() -> None:
    script = Script(rcpt=["250 ok", "421 closing"])
    first, second, third = outcomes(script, 3)
    assert (first, third) == (SENT, SENT)
    assert isinstance(second, Unavailable)


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
