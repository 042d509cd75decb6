"""No card number or cvv is anywhere except in the memory of the request that contains it.

Two hundred canaries take every path by which a card can be sent; then everything that the system has written or
sent is searched for them. A control puts a mark where it may be stored, and shows that the search finds it there.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import httpx2
import pytest
from support import canaries, traces
from support.canaries import Canary, Mark
from support.orders import body, ended, messages, place

from oms_platform.platform import Platform

pytestmark = pytest.mark.system

COUNT = 200


@dataclass
class Posted:
    """The requests, the answers, and the canaries, which must not be found anywhere."""

    canaries: list[Canary]
    responses: list[httpx2.Response] = field(default_factory=list)
    planted: Mark = field(default_factory=Mark)

    def with_status(self, *statuses: int) -> list[httpx2.Response]:
        return [response for response in self.responses if response.status_code in statuses]


@dataclass
class Search:
    """Which canaries were found, and whether the control was."""

    bytes: int = 0
    planted: bool = False
    leaks: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def posted(running_platform: Platform) -> Posted:
    """Post all canaries, and wait until every accepted order has ended, was read, and its customer notified."""
    posted = Posted([canaries.canary(number) for number in range(COUNT)])
    with httpx2.Client(base_url=running_platform.url, timeout=20.0) as client:
        for canary in posted.canaries:
            posted.responses.append(client.send(canary.request(client)))
        for response in posted.with_status(202):
            order = at_rest(running_platform, client, response.json()["id"])
            posted.responses += [client.get(f"/order/{order['id']}"), client.get(f"/order/{order['id']}/events")]
        posted.responses.append(client.get("/order", params={"limit": 100}))
        mark = posted.planted.digits
        # The mark is in the address, too: no message greets a customer whose name is a number.
        order_id = place(client, body(name=mark, email=f"{mark}@customers.example"))
        planted = at_rest(running_platform, client, order_id)
        posted.responses.append(client.get(f"/order/{planted['id']}"))
    return posted


def at_rest(platform: Platform, client: httpx2.Client, order_id: str) -> dict[str, Any]:
    """Return the order once it is terminal and its customer has the email and SMS, so that everything is written."""
    order = ended(client, order_id)
    messages(platform.mailcatcher_url, order_id)
    return order


@pytest.fixture(scope="module")
def searched(running_platform: Platform, posted: Posted) -> Callable[[str], Search]:
    """Return a function that searches one kind of place; each kind is searched once."""

    @cache
    def search(kind: str) -> Search:
        if kind == "responses":
            places: Iterable[traces.Trace] = ((str(r.status_code), traces.spoken(r)) for r in posted.responses)
        else:
            places = traces.KINDS[kind](running_platform)
        find = canaries.found if kind.startswith("data") else canaries.found_in_text
        result = Search()
        for where, content in places:
            result.bytes += len(content)
            result.planted = result.planted or posted.planted.is_in(content)
            result.leaks += [f"{where}: {what}" for what in find(content, posted.canaries)]
        return result

    return search


def test_every_path_was_taken(posted: Posted) -> None:
    assert len({canary.number for canary in posted.canaries if canary.own_number}) >= COUNT / 2
    assert len({canary.cvv for canary in posted.canaries}) == COUNT
    for status in (202, 400, 404, 405, 413, 415, 422):
        assert posted.with_status(status), f"no canary was answered with {status}"
    assert {response.status_code for response in posted.responses} < {200, 202, 204, 400, 404, 405, 413, 415, 422}


@pytest.mark.parametrize("kind", ["responses", *traces.KINDS])
def test_no_canary_is_found_in(kind: str, searched: Callable[[str], Search]) -> None:
    assert searched(kind).bytes > 1000
    assert searched(kind).leaks == []


@pytest.mark.parametrize("kind", ["responses", *traces.STORED])
def test_the_control_is_found_in(kind: str, searched: Callable[[str], Search]) -> None:
    assert searched(kind).planted


def test_a_refused_order_is_not_among_the_orders(posted: Posted, platform: Platform) -> None:
    accepted = {response.json()["id"] for response in posted.with_status(202)}
    emails = {sent_email(response) for response in posted.with_status(400, 413, 415, 422)} - {None}
    shown = traces.orders(platform)
    assert accepted <= shown.keys()
    assert not emails & set(shown.values())


def sent_email(response: httpx2.Response) -> str | None:
    """Return the address in the order that a response answers."""
    found = re.search(rb'"email": "([0-9a-f]{32}@customers.example)"', response.request.content)
    return found[1].decode() if found else None
