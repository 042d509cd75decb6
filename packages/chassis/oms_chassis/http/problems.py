"""Errors as RFC 9457 problem details. An answer names the field that is wrong and never repeats what was sent.

Problem                 a service says what is wrong, with a kind of its own
(RequestValidationError, OperationalError, HTTPException are turned into one here)
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oms_chassis.http import routes
from oms_chassis.sessions import leaves_outcome_open
from oms_chassis.telemetry import redaction
from oms_chassis.telemetry.logs import logger

log = logger(__name__)
MEDIA_TYPE = "application/problem+json"
_NAME = re.compile(r"[A-Za-z_]{1,40}\Z")


class Problem(Exception):
    """Raised anywhere in a route; `errors` is a list of {"field": ..., "message": ...}."""

    def __init__(
        self,
        status: int,
        kind: str,
        title: str,
        detail: str | None = None,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(kind)
        self.status, self.kind, self.title, self.detail = status, kind, title, detail
        self.errors, self.headers = list(errors), dict(headers or {})

    def body(self) -> dict[str, Any]:
        """The problem's JSON members."""
        members = {
            "type": f"/problems/{self.kind}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "errors": self.errors,
        }
        return {name: value for name, value in members.items() if value}


def unavailable() -> Problem:
    """The database is away, or too slow: nothing was stored, and the same request may be sent again."""
    return Problem(503, "unavailable", "The service cannot reach its database", headers={"Retry-After": "1"})


def outcome_unknown(location: str | None = None, may_repeat: bool = False) -> Problem:
    """The database got the request, and its answer was lost: what was asked for may be done or not.

    `location` is where it is if it was stored. Only what may be repeated without harm is asked for again.
    """
    where = f" If so, it is found at {location}." if location else ""
    how = "Send the same request again" if may_repeat else "Look before you send it again"
    headers = {"Location": location} if location else {}
    return Problem(
        503,
        "outcome-unknown",
        "It is not known whether the request was carried out",
        f"What was asked for may have been stored.{where} {how}.",
        headers=headers | ({"Retry-After": "1"} if may_repeat else {}),
    )


def field_path(location: Sequence[str | int]) -> str:
    """`("body", "items", 0, "id")` as `items[0].id`."""
    path = ""
    for part in location[1:] if location and location[0] in {"body", "query", "path", "header"} else location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path or "body"


def invalid(errors: Sequence[Mapping[str, Any]]) -> Problem:
    """Pydantic's errors without the input, the context and the address that they carry."""
    if any(error["type"] == "json_invalid" for error in errors):
        return Problem(400, "malformed-json", "The body is not valid JSON")
    return _invalid([{"field": field_of(error), "message": _message(error)} for error in errors])


def of_fields(messages: Mapping[str, str]) -> Problem:
    """What is wrong with each of these fields, whose names the sender chose."""
    shown = {shown_name(name): message for name, message in messages.items()}
    return _invalid([{"field": name, "message": message} for name, message in shown.items()])


def field_of(error: Mapping[str, Any]) -> str:
    """The field that one of Pydantic's errors is about."""
    location = error["loc"]
    if error["type"] == "extra_forbidden":
        location = (*location[:-1], shown_name(str(location[-1])))
    return field_path(location)


def shown_name(name: str) -> str:
    """A name that the sender chose, if it looks like one: somebody may have sent a card's number for a name."""
    return name if _NAME.match(name) else "?"


def _invalid(errors: Sequence[Mapping[str, str]]) -> Problem:
    return Problem(422, "invalid-request", "The request is not valid", errors=errors)


def _message(error: Mapping[str, Any]) -> str:
    if error["type"] in {"literal_error", "enum"}:
        return f"must be {error.get('ctx', {}).get('expected', 'one of the known values')}"
    return str(error["msg"])


def respond(problem: Problem) -> JSONResponse:
    """The answer that a problem becomes."""
    return JSONResponse(problem.body(), problem.status, headers=problem.headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make every error of an application a problem."""
    app.add_exception_handler(Problem, lambda _, error: respond(_as(Problem, error)))
    app.add_exception_handler(
        RequestValidationError, lambda _, error: respond(invalid(_as(RequestValidationError, error).errors()))
    )
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(DBAPIError, _database)
    app.add_exception_handler(PoolTimeout, lambda _, __: respond(unavailable()))


def _as(kind: type[Any], error: Exception) -> Any:
    assert isinstance(error, kind)  # noqa: S101 - Starlette hands over what was registered
    return error


def _http(request: Request, error: Exception) -> JSONResponse:
    known = _as(HTTPException, error)
    headers = dict(known.headers or {})
    if known.status_code == 405:
        headers["Allow"] = ", ".join(routes.methods(request.app.routes, request.scope["path"]))
    kinds = {404: "not-found", 405: "method-not-allowed", 400: "bad-request"}
    kind = kinds.get(known.status_code, "http-error")
    title = {404: "There is nothing at this address", 405: "This address does not take this method"}.get(
        known.status_code, "The request cannot be served"
    )
    return respond(Problem(known.status_code, kind, title, headers=headers))


def _database(request: Request, error: Exception) -> JSONResponse:
    from oms_chassis.db import is_unavailable

    if not is_unavailable(error):
        return _unexpected(request, error)
    if not leaves_outcome_open(error) or request.method in {"GET", "HEAD"}:
        return respond(unavailable())
    return respond(outcome_unknown(may_repeat=request.method in {"PUT", "DELETE"}))  # these are idempotent: RFC 9110


def _unexpected(request: Request, error: Exception) -> JSONResponse:
    route = getattr(request.scope.get("route"), "path", "unknown")
    log.error("request_failed", route=route, **redaction.described(error))
    return respond(Problem(500, "internal", "The service failed to answer"))


class Failsafe:
    """The outermost layer: answers whatever nobody caught, and lets none of it out. A server logs what gets out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:  # noqa: BLE001 - whatever a route or a library may raise
            response = _unexpected(Request(scope), error)
            if not started:  # else the server sees that the answer is cut short, and closes the connection
                await response(scope, receive, send)
