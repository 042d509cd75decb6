"""Errors as RFC 9457 problem details: one class for each mistake, which also documents itself in OpenAPI.

Problem
  ├ InvalidRequest    422  fields of the body, the query, the path or the headers
  ├ MalformedJson     400
  ├ Unavailable       503  the database is unavailable: nothing was stored
  ├ OutcomeUnknown    503  the database's answer is lost
  ├ Internal          500
  └ ...                    each service's own, raised anywhere below its routes

An answer names the invalid field, and never repeats what was sent.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

from fastapi.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"
MOST = 100  # errors per answer: with all of them it could be six times as long as its request
_NAME = re.compile(r"[A-Za-z_]{1,40}\Z")
_CONTENT = {"content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}  # which documents.py adds
# For every route: without it, FastAPI documents errors of its own for many routes.
ANY: dict[int | str, dict[str, Any]] = {"default": {"description": "A problem (RFC 9457)", **_CONTENT}}


class Problem(Exception):
    """The base of all problems. A subclass has a status, a kind and a title; its docstring is its documentation.

    `errors` are pairs of a field's name and what is wrong with it. `headers` of the class are sent with each such
    answer, and those of an instance in addition; `documented_headers` are names of the latter.
    """

    status: int
    kind: str
    title: str
    headers: Mapping[str, str] = {}
    documented_headers: ClassVar[Sequence[str]] = ()

    def __init__(
        self, *errors: tuple[str, str], detail: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(self.kind)
        self.errors, self.detail = errors, detail
        self.headers = {**self.headers, **(headers or {})}

    def body(self) -> dict[str, Any]:
        """Return the problem's JSON members."""
        members = {
            "type": f"/problems/{self.kind}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "errors": [{"field": field, "message": message} for field, message in self.errors[:MOST]],
        }
        return {name: value for name, value in members.items() if value}


class InvalidRequest(Problem):
    """`errors` names each invalid field, a hundred at most, and says what it must be."""

    status, kind, title = 422, "invalid-request", "The request is not valid"

    @classmethod
    def of_fields(cls, messages: Mapping[str, str]) -> Self:
        """Make a problem from the message for each field. The sender chose the fields' names."""
        return cls(*{shown_name(name): message for name, message in messages.items()}.items())


class MalformedJson(Problem):
    """The body cannot be parsed."""

    status, kind, title = 400, "malformed-json", "The body is not valid JSON"


class BodyTooLarge(Problem):
    """The body exceeds the limit, according to its Content-Length or while it is read."""

    status, kind, title = 413, "body-too-large", "The body is too large"


class Unavailable(Problem):
    """Nothing was stored, and the same request may be sent again after Retry-After."""

    status, kind, title = 503, "unavailable", "The service cannot reach its database"
    headers: Mapping[str, str] = {"Retry-After": "1"}


class OutcomeUnknown(Problem):
    """The database received the request, but its answer was lost: the change may have been stored. Location, if
    present, says where to look; only a request that can be repeated safely has a Retry-After."""

    status, kind, title = 503, "outcome-unknown", "It is not known whether the request was carried out"
    documented_headers = ("Location", "Retry-After")

    def __init__(self, location: str | None = None, may_repeat: bool = False) -> None:
        where = f" If so, it is found at {location}." if location else ""
        how = "Send the same request again" if may_repeat else "Look before you send it again"
        headers = {"Location": location} if location else {}
        super().__init__(
            detail=f"What was asked for may have been stored.{where} {how}.",
            headers=headers | ({"Retry-After": "1"} if may_repeat else {}),
        )


class Internal(Problem):
    """The request failed because of a fault in the service."""

    status, kind, title = 500, "internal", "The service failed to answer"


class BadRequest(Problem):
    """The server refuses the request before any route sees it."""

    status, kind, title = 400, "bad-request", "The request cannot be served"


class HttpError(Problem):
    """The framework refuses the request before any route sees it: there is no such path or method."""

    KNOWN: ClassVar[Mapping[int, tuple[str, str]]] = {
        400: (BadRequest.kind, BadRequest.title),
        404: ("not-found", "There is nothing at this address"),
        405: ("method-not-allowed", "This address does not take this method"),
    }

    def __init__(self, status: int, headers: Mapping[str, str]) -> None:
        self.status = status
        self.kind, self.title = self.KNOWN.get(status, ("http-error", "The request cannot be served"))
        super().__init__(headers=headers)


def documented(*kinds: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """Return these problems as the `responses` of a route, by status."""
    by_status: dict[int | str, list[type[Problem]]] = {}
    for kind in kinds:
        by_status.setdefault(kind.status, []).append(kind)
    return {status: _response(those) for status, those in by_status.items()}


def _response(kinds: Iterable[type[Problem]]) -> dict[str, Any]:
    about = [f"`{kind.kind}`: {kind.title}. {' '.join((kind.__doc__ or '').split())}" for kind in kinds]
    names = {name: {"schema": {"type": "string"}} for kind in kinds for name in _header_names(kind)}
    return {"description": "\n\n".join(about), **({"headers": names} if names else {}), **_CONTENT}


def _header_names(kind: type[Problem]) -> list[str]:
    return [*kind.headers, *kind.documented_headers]


def field_path(location: Sequence[str | int]) -> str:
    """Return `("body", "items", 0, "id")` as `items[0].id`."""
    path = ""
    for part in location[1:] if location and location[0] in {"body", "query", "path", "header"} else location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path or "body"


def field_of(error: Mapping[str, Any]) -> str:
    """Return the field that one of Pydantic's errors is about."""
    location = error["loc"]
    if error["type"] == "extra_forbidden":
        location = (*location[:-1], shown_name(str(location[-1])))
    return field_path(location)


def shown_name(name: str) -> str:
    """Return a name that the sender chose if it looks like one, and otherwise `?`: somebody may have sent a card number
    as a name."""
    return name if _NAME.match(name) else "?"


def respond(problem: Problem) -> JSONResponse:
    """Return the answer to a problem."""
    return JSONResponse(problem.body(), problem.status, headers=dict(problem.headers), media_type=MEDIA_TYPE)
