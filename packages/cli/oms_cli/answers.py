"""What OMS answers when it does not do what it was asked, as errors with advice."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx

from oms_servers.errors import LocalError


class Refused(LocalError):
    """The service answered with a problem, of this HTTP status."""

    status = 0


class Unreachable(LocalError):
    """Nothing answers at a URL."""


class TooSlow(LocalError):
    """An order has not come to its end in time."""


def check(response: httpx.Response) -> httpx.Response:
    """The answer. Raises Refused if it is a problem."""
    if response.is_error:
        response.read()
        raise _refused(response)
    return response


def pages(first: httpx.Response, follow: Callable[[str], httpx.Response]) -> Iterator[list[Any]]:
    """The pages of a list: the first, and those that Link headers lead to."""
    yield first.json()
    while link := first.links.get("next"):
        first = follow(link["url"])
        yield first.json()


def _refused(response: httpx.Response) -> Refused:
    try:
        problem: Mapping[str, Any] = response.json()
    except ValueError:
        problem = {}
    title = problem.get("detail") or problem.get("title") or response.reason_phrase
    fields = [f"{error['field']} {error['message']}" for error in problem.get("errors", [])]
    refused = Refused(f"{title} ({response.status_code})" + "".join(f"\n  {field}" for field in fields))
    refused.status = response.status_code
    return refused


def unreachable(url: str) -> Unreachable:
    """What is said when nothing answers there."""
    advice = "`make up` starts OMS on this machine; OMS_URL, OMS_INVENTORY_URL and OMS_MAILCATCHER_URL name another"
    return Unreachable(f"{url} does not answer", advice)


def too_slow(order: str, seconds: float) -> TooSlow:
    """What is said of an order that has not ended in so many seconds."""
    return TooSlow(f"Order {order} has not ended within {seconds:.0f} s", f"`oms order show {order}` shows its steps")
