"""Turns answers that refuse a request, or that are not from OMS, into errors with advice."""

import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2

from oms_cli.portions import Portion, cut
from oms_servers.errors import LocalError

# Advice for callers that are not authenticated, or that lack a scope.
_IDENTITY = {
    "credentials-missing": "OMS_CREDENTIAL says it: a key that `oms keys create` makes, or a token of the issuer",
    "credentials-invalid": "OMS_CREDENTIAL is to be a key that `oms keys create` makes, or a token of the issuer",
    "scope-missing": "OMS_CREDENTIAL is to be a key with it, which `oms keys create` makes, or a token with it",
}


class Refused(LocalError):
    """The service answered with a problem, of this HTTP status and kind."""

    status, kind = 0, ""


class NotOms(LocalError):
    """The program at a URL does not answer as OMS does: it is a proxy, a login, or something else."""


class OtherForm(LocalError):
    """An answer lacks a field, or has another form than expected: it is from another release, or from a proxy."""


class TooSlow(LocalError):
    """An order has not ended in time."""


class _Taken:
    """The source of the last answer that was accepted as one of OMS."""

    url: httpx2.URL | None = None


def check(response: httpx2.Response) -> httpx2.Response:
    """Return the answer. Raises Refused if it is a problem, NotOms if it redirects elsewhere."""
    if response.is_error:
        response.read()
        raise _refused(response)
    if not response.is_success:
        raise _not_oms(response)
    _Taken.url = _where(response)
    return response


def other_form(error: Exception) -> OtherForm | None:
    """Return the error to report for one that occurred in reading an answer; None if no answer was being read.

    It names the error and its place, but never its text, which contains what was sent.
    """
    if _Taken.url is None or isinstance(error, UnicodeError):
        return None  # such as a terminal that cannot show a letter
    place = traceback.extract_tb(error.__traceback__)[-1]
    return OtherForm(
        f"{_Taken.url} answers in a form that this `oms` does not know "
        f"({type(error).__name__} in {Path(place.filename).name}:{place.lineno})",
        "Is OMS there of another release than this `oms`, or is there a proxy before it?",
    )


def read(response: httpx2.Response) -> dict[str, Any]:
    """Return the object in an answer. Raises NotOms if there is none: missing fields would look like false ones."""
    found = _json(response)
    if not isinstance(found, dict):
        raise _not_oms(response)
    return found


def listed(response: httpx2.Response) -> list[dict[str, Any]]:
    """Return the list in an answer. Raises NotOms if there is none: an empty list would mean that all is well."""
    found = _json(response)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise _not_oms(response)
    return found


def pages(first: httpx2.Response, follow: Callable[[str], httpx2.Response]) -> Iterator[list[Any]]:
    """Yield the pages of a list: the first, and those that Link headers lead to."""
    yield listed(first)
    while link := following(first):
        first = follow(link)
        yield listed(first)


def first(page: httpx2.Response, limit: int, follow: Callable[[str], httpx2.Response]) -> Portion:
    """Return the first `limit` rows of a list, from as many pages as that takes."""
    found = listed(page)
    while len(found) < limit and (link := following(page)):
        page = follow(link)
        found += listed(page)
    return cut(found, limit, goes_on=following(page) is not None)


def following(page: httpx2.Response) -> str | None:
    """Return the URL of the next page; None if this was the last."""
    return page.links.get("next", {}).get("url")


def _refused(response: httpx2.Response) -> Refused:
    found = _json(response)
    problem: Mapping[str, Any] = found if isinstance(found, dict) else {}
    title = problem.get("detail") or problem.get("title") or response.reason_phrase
    fields = [f"{error['field']} {error['message']}" for error in _errors(problem)]
    refused = Refused(f"{title} ({response.status_code})" + "".join(f"\n  {field}" for field in fields))
    refused.status, refused.kind = response.status_code, str(problem.get("type") or "").rpartition("/")[2]
    refused.advice = _IDENTITY.get(refused.kind, "")
    return refused


def _errors(problem: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    errors = problem.get("errors")
    known = errors if isinstance(errors, list) else []
    return [one for one in known if isinstance(one, dict) and {"field", "message"} <= one.keys()]


def streamed(response: httpx2.Response) -> httpx2.Response:
    """Return an answer that is a stream of events, or has none. Raises Refused or NotOms for any other."""
    if check(response).status_code != 204 and "text/event-stream" not in response.headers.get("Content-Type", ""):
        raise _not_oms(response)
    return response


def _json(response: httpx2.Response) -> Any:
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None


def _not_oms(response: httpx2.Response) -> NotOms:
    kind = response.headers.get("Content-Type", "no content type")
    return NotOms(
        f"{_where(response)} does not answer as OMS does ({response.status_code}, {kind})",
        "Is there a proxy or a login before it? OMS_URL, OMS_INVENTORY_URL, OMS_MAILCATCHER_URL and "
        "OMS_ADMIN_URL_<SERVICE> name where OMS is",
    )


def _where(response: httpx2.Response) -> httpx2.URL:
    return response.url.copy_with(query=None, fragment=None, username=None, password=None)


def too_slow(order: str, seconds: float) -> TooSlow:
    """Return the error for an order that has not ended within `seconds`."""
    return TooSlow(f"Order {order} has not ended within {seconds:.0f} s", f"`oms order show {order}` shows its steps")
