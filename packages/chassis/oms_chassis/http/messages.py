"""Applies the rules of HTTP itself (RFC 9110): HEAD and OPTIONS, and headers that must be unambiguous."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from email.message import Message as Fields

from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from oms_chassis.http import problems, routes
from oms_chassis.http.problems import Problem

# These may occur once only: of two values one would be ignored, and a proxy in front may have used the other.
SINGLE = {
    b"host": "Host",
    b"content-type": "Content-Type",
    b"idempotency-key": "Idempotency-Key",
    b"last-event-id": "Last-Event-ID",
    # Headers of operators' acts: a proxy may have added the operator's name to what the client claims.
    b"oms-operator": "OMS-Operator",
    b"oms-reason": "OMS-Reason",
    b"oms-dry-run": "OMS-Dry-Run",
}
# Lists, which may be sent in several lines: reading only one of them would ignore a condition or a coding.
LISTS = {b"if-match", b"if-none-match", b"content-encoding"}
CHARSETS = {"utf-8", "utf8", "us-ascii"}
LONGEST_TYPE = 200  # characters: a longer one takes up to a second to parse, and nobody needs it
# A name or an address, optionally with a port (RFC 9112, 3.2); empty if the target has none.
_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(?::[0-9]*)?\Z")


class BadHost(Problem):
    """HTTP/1.1 requires a Host header in each request, with a valid host."""

    status, kind, title = 400, "bad-host", "The request must have a Host"


class RepeatedHeader(Problem):
    """A header that may be given only once was repeated."""

    status, kind, title = 400, "repeated-header", "A header was given twice"


class UnsupportedEncoding(Problem):
    """Compressed bodies are not accepted."""

    status, kind, title = 415, "unsupported-encoding", "Bodies must not be compressed"
    headers: Mapping[str, str] = {"Accept-Encoding": "identity"}


class UnsupportedCharset(Problem):
    """JSON must be encoded as UTF-8 (RFC 8259)."""

    status, kind, title = 415, "unsupported-charset", "Bodies must be UTF-8"


class Messages:
    """Answers HEAD as GET without a body, answers OPTIONS, and refuses ambiguous requests."""

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._app, self._routes = app, routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["headers"] = folded(scope["headers"])
        if (problem := judged(scope["headers"], scope["http_version"])) is not None:
            await problems.respond(problem)(scope, receive, send)
        elif scope["method"] == "HEAD":
            await self._head(scope, receive, send)
        elif scope["method"] == "OPTIONS" and (allowed := self._allowed(scope)):
            await Response(status_code=204, headers={"Allow": allowed})(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _head(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle HEAD as GET in every layer, so that it needs the same permissions. The server leaves out the body."""
        as_get = {**scope, "method": "GET"} if "HEAD" in routes.methods(self._routes, scope["path"]) else scope
        try:
            await self._app(as_get, receive, send)
        finally:
            scope.update({name: as_get[name] for name in ("route",) if name in as_get})  # for Observe

    def _allowed(self, scope: Scope) -> str:
        """Return the methods of this path for an Allow header; nothing if there is no such path, or for a preflight
        (CORS)."""
        if any(name == b"access-control-request-method" for name, _ in scope["headers"]):
            return ""
        return ", ".join(routes.methods(self._routes, scope["path"]))


def folded(headers: Sequence[tuple[bytes, bytes]]) -> Sequence[tuple[bytes, bytes]]:
    """Return headers in which each list is one line (RFC 9110, 5.3)."""
    listed = [name for name, _ in headers if name in LISTS]
    if len(listed) == len(set(listed)):
        return headers
    lines = {name: [value for one, value in headers if one == name] for name in set(listed)}
    joined = [(name, b", ".join(values).strip()) for name, values in lines.items()]
    return [*(one for one in headers if one[0] not in LISTS), *joined]


def judged(headers: Sequence[tuple[bytes, bytes]], version: str) -> Problem | None:
    """Return the problem of a request's headers, if there is any."""
    single = [name for name, _ in headers if name in SINGLE]
    if len(single) > len(set(single)):
        repeated = [SINGLE[name] for name, count in Counter(single).items() if count > 1]
        return RepeatedHeader(*((name, "must be given once") for name in repeated))
    given = dict(headers)
    host = given.get(b"host", None if version == "1.1" else b"")
    if host is None or not _HOST.match(host):
        return BadHost(("Host", "must be the name that the request is sent to"))
    return _judged_body(given) if _has_body(given) else None


def _has_body(given: Mapping[bytes, bytes]) -> bool:
    """Whether a body follows these headers. Some clients describe a body in every request."""
    return b"transfer-encoding" in given or given.get(b"content-length", b"0").strip(b"0") != b""


def _judged_body(given: Mapping[bytes, bytes]) -> Problem | None:
    if given.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        return UnsupportedEncoding()
    if _charset(given.get(b"content-type", b"")) not in CHARSETS:
        return UnsupportedCharset()
    return None


def _charset(content_type: bytes) -> str:
    if b"charset" not in content_type.lower():
        return "utf-8"
    if len(content_type) > LONGEST_TYPE or content_type.lower().count(b"charset=") > 1:
        return ""
    fields = Fields()
    fields["content-type"] = content_type.decode("latin-1")
    return fields.get_content_charset("")
