"""Turns every error of an application into a problem, whoever raised it."""

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
    """Register the handlers that turn an application's errors into problems."""
    for kind, handler in HANDLERS.items():
        app.add_exception_handler(kind, handler)


def answer(request: Request, error: Exception) -> JSONResponse:
    """Return the answer to an error, as the application would. An error without a handler is raised again."""
    handler = next((HANDLERS[kind] for kind in type(error).__mro__ if kind in HANDLERS), None)
    if handler is None:
        raise error
    response = handler(request, error)
    # one error may be shared by a whole batch, and would keep the frames of all its requests
    error.__traceback__ = None
    return response


def invalid(errors: Sequence[Mapping[str, Any]]) -> Problem:
    """Return Pydantic's errors as a problem, without the input, context and URL that they carry."""
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
    """The outermost error handler: answers errors that nobody caught, since the server would log any that it sees."""

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
        except Exception as error:  # noqa: BLE001 - a route or a library may raise anything
            response = _unexpected(Request(scope), error)
            if not started:  # otherwise the server notices that the answer is incomplete, and closes the connection
                await response(scope, receive, send)
