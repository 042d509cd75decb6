"""Rejects admin requests that are meant for another service. Letters, rows and jobs of all services have the same ids,
and an address may lead to the wrong service, as when several ports are forwarded to one machine."""

from starlette.types import ASGIApp, Receive, Scope, Send

from oms_chassis.http import headers
from oms_chassis.http.problems import Problem, respond

SERVICE = "OMS-Service"
_NAME = SERVICE.lower().encode()


class WrongService(Problem):
    """The request's OMS-Service header names another service than this one. Nothing was done."""

    status, kind, title = 421, "wrong-service", "The request is meant for another service"


class OnlyFor:
    """Refuses requests that name another service. Requests that name none are accepted."""

    def __init__(self, app: ASGIApp, service: str) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._is_meant(scope):
            await respond(WrongService(detail=f"This is {self._service}."))(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_meant(self, scope: Scope) -> bool:
        return all(value == self._service for value in headers.values(scope, _NAME))
