"""Protects the admin API: requests must carry one of its tokens (RFC 6750), which are compared in constant time."""

import hmac
from collections.abc import Mapping, Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from oms_chassis.http import headers
from oms_chassis.http.problems import Problem, respond


class Unauthenticated(Problem):
    """The request carries none of the service's admin tokens."""

    status, kind, title = 401, "unauthenticated", "An admin token is needed"
    headers: Mapping[str, str] = {"WWW-Authenticate": "Bearer"}


class TokensOnly:
    """Passes on only requests that carry one of the tokens."""

    def __init__(self, app: ASGIApp, tokens: Sequence[str]) -> None:
        self._app, self._tokens = app, [token.encode() for token in tokens]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._is_known(_given(scope)):
            await respond(Unauthenticated())(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_known(self, given: bytes) -> bool:
        # Compares with all of them, even after a match.
        return sum(hmac.compare_digest(given, token) for token in self._tokens) > 0


def _given(scope: Scope) -> bytes:
    """Return the token of a request; empty, and so not one of ours, unless there is exactly one."""
    given = headers.values(scope, b"authorization")
    kind, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    return token.encode("latin-1").strip() if kind.lower() == "bearer" else b""
