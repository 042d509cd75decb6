"""What a provider is asked for, and what its answers mean."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from pathlib import Path

import pytest
from pydantic import SecretStr
from support.notices import running_mail_catcher
from support.texting import notice, outcomes, provider, scripted

from oms_chassis.jobs.queue import Done, Outcome, Paused, Retry, Unavailable
from oms_notifications.notice import refused, sent, turned_down
from oms_servers.testing import free_port


def test_a_text_arrives_as_it_was_written_and_once(tmp_path: Path) -> None:
    with (
        running_mail_catcher(tmp_path, free_port(), free_port()) as catcher,
        provider(f"{catcher.url}/sms") as sms,
        ThreadPoolExecutor(8) as pool,
    ):
        found = list(pool.map(lambda number: sms.send(notice(f"o-{number % 200}")), range(400)))
        assert all(isinstance(outcome, Done) for outcome in found)
        assert catcher.counts()["sms"] == 200
        (text,) = catcher.messages(orderId="o-7")
    assert (text["to"], text["text"]) == ("+94762222222", "Your order is confirmed")


def test_what_the_provider_is_asked_for() -> None:
    with scripted() as server, provider(server.url, sms_token=SecretStr("token")) as sms:
        assert sms.send(notice()) == sent("sms-7")
    assert server.texts == {
        "o-1.confirmed": {
            "to": "+94762222222",
            "from": "OMS",
            "text": "Your order is confirmed",
            "reference": "o-1",
        }
    }
    assert server.requests[0]["path"] == "/v1/sms?unit=1"
    assert server.requests[0]["Authorization"] == "Bearer token"


@pytest.mark.parametrize("to", ["", "762222222", "(077) 123", "+94 76", "0094762222222", "+0762222222", "+9476222222²"])
def test_a_number_that_the_provider_would_have_to_guess_gets_no_text(to: str) -> None:
    with scripted() as server, provider(server.url) as sms:
        assert sms.send(notice(to=to)) == refused("no number that a text can be sent to")
    assert server.requests == []


@pytest.mark.parametrize(
    ("statuses", "kind"),
    [
        ([401, 402, 404, 405, 406, 407, 410, 411, 415, 421, 426, 428, 429, 431, 503], Paused),
        ([301, 302, 307, 308, 500, 501, 502, 504, 599], Unavailable),
        ([403, 451], Unavailable),  # of this number, perhaps: one text is not to be tried for ever
        ([408, 409, 425], Retry),
    ],
)
def test_what_may_be_repaired_is_tried_again_under_the_same_key(
    statuses: list[int], kind: Callable[[str], Outcome]
) -> None:
    with scripted(*statuses) as server:
        assert outcomes(server, len(statuses) + 1) == [*(kind(f"sms: {status}") for status in statuses), sent("sms-7")]
    assert {request["Idempotency-Key"] for request in server.requests} == {"o-1.confirmed"}


def in_an_hour() -> str:
    return formatdate(time.time() + 3600, usegmt=True)


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        (lambda: "30", 30.0, 30.0),
        (lambda: " 30 \t", 30.0, 30.0),
        (lambda: "0", 0.0, 0.0),
        (in_an_hour, 3000.0, 3600.0),
        (lambda: time.asctime(time.gmtime(time.time() + 3600)), 3000.0, 3600.0),
        (lambda: "Sun, 06 Nov 1994 08:49:37 GMT", 0.0, 0.0),
    ],
    ids=["seconds", "seconds among spaces", "at once", "date", "date as of asctime", "long ago"],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_provider_that_wants_fewer_calls_says_for_how_long(
    status: int, header: Callable[[], str], least: float, most: float
) -> None:
    with scripted(status) as server:
        server.retry_after = header()
        (outcome,) = outcomes(server)
    assert isinstance(outcome, Paused)
    assert outcome.seconds is not None
    assert least <= outcome.seconds <= most


@pytest.mark.parametrize("header", ["", "soon", "-1", "1e9", "Thu, 01 Jan 99999999999 00:00:00 GMT", "nan", "inf"])
def test_a_time_that_cannot_be_read_is_none(header: str) -> None:
    with scripted(429) as server:
        server.retry_after = header
        assert outcomes(server) == [Paused("sms: 429")]


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_permanent_no_may_be_about_our_sender_and_the_text_is_kept(status: int) -> None:
    with scripted(status) as server:
        assert outcomes(server) == [turned_down(f"sms: {status}")]
    assert server.texts == {}


def test_a_provider_that_is_away_is_tried_again() -> None:
    with provider(f"http://127.0.0.1:{free_port()}/sms") as sms:
        assert sms.send(notice()) == Paused("sms: ConnectionRefusedError")
