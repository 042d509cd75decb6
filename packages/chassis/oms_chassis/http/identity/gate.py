"""The gate: identifies the caller of each request before the request is read, and checks that the caller may use the
route."""

from collections.abc import Sequence

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oms_chassis.http import problems
from oms_chassis.http.headers import values
from oms_chassis.http.identity.authentication import Authentication
from oms_chassis.http.identity.callers import CALLER, Caller
from oms_chassis.http.identity.problems import (
    CredentialsInvalid,
    CredentialsMissing,
    IdentityUnavailable,
    ScopeMissing,
    TooManyRequests,
)
from oms_chassis.http.identity.rates import Headers, RateLimit
from oms_chassis.http.identity.requirements import Requirement
from oms_chassis.http.problems import Problem
from oms_chassis.telemetry.metrics import Metrics

REFUSALS = (CredentialsMissing, CredentialsInvalid, ScopeMissing, IdentityUnavailable, TooManyRequests)


class Gate:
    """Refuses a request with 401, 403, 429 or 503, or passes it on with its caller."""

    def __init__(
        self,
        app: ASGIApp,
        authentication: Authentication,
        requirements: Sequence[Requirement],
        rate_limit: RateLimit | None,
        metrics: Metrics,
    ) -> None:
        self._app, self._authentication, self._requirements = app, authentication, requirements
        self._rate_limit, self._refusals = rate_limit, metrics.http_refusals
        for refusal in REFUSALS:
            self._refusals.labels(refusal.kind)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            headers = await self._judged(scope)
        except Problem as problem:
            self._refusals.labels(problem.kind).inc()
            await problems.respond(problem)(scope, receive, send)
            return
        await self._app(scope, receive, _with(headers, send) if headers else send)

    async def _judged(self, scope: Scope) -> Headers:
        """Store the caller in the request's scope and count the request. Return the headers for its answer. Raises
        Problem."""
        found = self._requirement(scope)
        if found is not None:
            scope["route"] = found.route  # for Observe: routing comes later
        caller = scope[CALLER] = await self._authentication.caller(_authorization(scope))
        headers = self._rate_limit.take(caller) if self._rate_limit is not None else []
        if found is not None and not caller.is_trusted:
            _check(caller, found.scopes)
        if caller.subject is not None:
            structlog.contextvars.bind_contextvars(caller=caller.shown)
        return headers

    def _requirement(self, scope: Scope) -> Requirement | None:
        if self._authentication.is_open:
            return None
        return next((one for one in self._requirements if _is_of(one, scope)), None)


def _check(caller: Caller, scopes: Sequence[str]) -> None:
    if caller.subject is None and scopes:
        raise CredentialsMissing
    caller.check(scopes)


def _is_of(requirement: Requirement, scope: Scope) -> bool:
    return scope["method"] in requirement.methods and requirement.path.match(scope["path"]) is not None


def _authorization(scope: Scope) -> str | None:
    given = values(scope, b"authorization")
    return given[0] if len(given) == 1 else "two of them" if given else None


def _with(headers: Headers, send: Send) -> Send:
    async def extended(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *headers]
        await send(message)

    return extended
