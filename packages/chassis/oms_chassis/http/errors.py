"""Every error of an application becomes a problem, whoever raised it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oms_chassis.failures import is_unavailable
from oms_chassis.http import routes
from oms_chassis.http.problems import (
    HttpError,
    Internal,
    InvalidRequest,
    MalformedJson,
    OutcomeUnknown,
    Problem,
    Unavailable,
    field_of,
    respond,
)
from oms_chassis.sessions import leaves_outcome_open
from oms_chassis.telemetry import redaction
from oms_chassis.telemetry.logs import logger

log = logger(__name__)


def install(app: FastAPI) -> None:
    """Make every error of an application a problem."""
    for kind, handler in HANDLERS.items():
        app.add_exception_handler(kind, handler)


def answer(request: Request, error: Exception) -> JSONResponse:
    """The problem that an error becomes, as in an application; what has no handler is raised again."""
    handler = next((HANDLERS[kind] for kind in type(error).__mro__ if kind in HANDLERS), None)
    if handler is None:
        raise error
    response = handler(request, error)
    error.__traceback__ = None  # one error may be that of a whole batch, and would keep the frames of all its requests
    return response


def invalid(errors: Sequence[Mapping[str, Any]]) -> Problem:
    """Pydantic's errors without the input, the context and the address that they carry."""
    if any(error["type"] == "json_invalid" for error in errors):
        return MalformedJson()
    return InvalidRequest(*((field_of(error), _message(error)) for error in errors))


def _message(error: Mapping[str, Any]) -> str:
    if error["type"] in {"literal_error", "enum"}:
        return f"must be {error.get('ctx', {}).get('expected', 'one of the known values')}"
    return str(error["msg"])


def _as(kind: type[Any], error: Exception) -> Any:
    assert isinstance(error, kind)  # noqa: S101 - Starlette hands over what was registered
    return error


def _http(request: Request, error: Exception) -> JSONResponse:
    known = _as(HTTPException, error)
    headers = dict(known.headers or {})
    if known.status_code == 405:
        headers["Allow"] = ", ".join(routes.methods(request.app.routes, request.scope["path"]))
    return respond(HttpError(known.status_code, headers))


def _database(request: Request, error: Exception) -> JSONResponse:
    if not is_unavailable(error):
        return _unexpected(request, error)
    if not leaves_outcome_open(error) or request.method in {"GET", "HEAD"}:
        return respond(Unavailable())
    has_key = routes.KEY in request.headers and routes.takes_key(request.scope.get("route"))
    return respond(OutcomeUnknown(may_repeat=has_key or request.method in {"PUT", "DELETE"}))  # RFC 9110, 9.2.2


def _unexpected(request: Request, error: Exception) -> JSONResponse:
    route = routes.path(request.scope.get("route"))
    log.error("request_failed", route=route, **redaction.described(error))
    return respond(Internal())


HANDLERS: Mapping[type[Exception], Callable[[Request, Exception], JSONResponse]] = {
    Problem: lambda _, error: respond(_as(Problem, error)),
    RequestValidationError: lambda _, error: respond(invalid(_as(RequestValidationError, error).errors())),
    HTTPException: _http,
    DBAPIError: _database,
    PoolTimeout: lambda _, __: respond(Unavailable()),
}


class Failsafe:
    """Around all that answers: answers whatever nobody caught, and lets none of it out. A server logs what gets out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
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
        except ClientDisconnect:
            log.info("client_gone", route=routes.path(scope.get("route")))
        except Exception as error:  # noqa: BLE001 - whatever a route or a library may raise
            response = _unexpected(Request(scope), error)
            if not started:  # else the server sees that the answer is cut short, and closes the connection
                await response(scope, receive, send)
