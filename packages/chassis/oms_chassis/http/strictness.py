"""Accepts only unambiguous JSON: UTF-8, and no name twice in an object. It is checked before any route reads it.

A reader in front (a gateway, a firewall, a log) may use the first of two values, while this one uses the last.
"""

import codecs
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oms_chassis.http import problems, routes
from oms_chassis.http.problems import MalformedJson, Problem, shown_name

LONGEST = 4300  # digits of an integer, as in Python: no reader behind this one accepts more
METHODS = {"POST", "PUT", "PATCH"}


class UnsupportedMediaType(Problem):
    """Only JSON bodies are accepted."""

    status, kind, title = 415, "unsupported-media-type", "The body must be application/json"
    headers: Mapping[str, str] = {"Accept": "application/json"}


class RepeatedField(Problem):
    """A JSON object contains the same name twice."""

    status, kind, title = 422, "repeated-field", "A field is given twice"


class StrictJson:
    """Refuses a body that is not JSON, or is ambiguous JSON."""

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._app, self._routes = app, routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in METHODS:
            await self._app(scope, receive, send)
            return
        try:
            message = await _whole(receive)
            if message.get("body"):
                message["body"] = judged(message["body"], dict(scope["headers"]).get(b"content-type", b""))
        except Problem as problem:  # unless no route takes a body there: then the path or the method is wrong
            is_taken = routes.take(self._routes, scope["method"], scope["path"])
            await (problems.respond(problem) if is_taken else self._app)(scope, receive, send)
            return
        await self._app(scope, _after(message, receive), send)


def judged(body: bytes, content_type: bytes) -> bytes:
    """Return a valid body, without a byte order mark. Raises UnsupportedMediaType, MalformedJson or RepeatedField."""
    if content_type.partition(b";")[0].strip().lower() != b"application/json":
        raise UnsupportedMediaType
    plain = body.removeprefix(codecs.BOM_UTF8)
    try:
        _ONE_WAY.decode(plain.decode())
    except (ValueError, RecursionError):
        raise MalformedJson from None
    return plain


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) < len(pairs):
        given = Counter(name for name, _ in pairs)
        raise RepeatedField(*((shown_name(name), "must be given once") for name in given if given[name] > 1))
    return read


def _integer(digits: str) -> str:
    if len(digits) > LONGEST:
        raise ValueError
    return digits


_ONE_WAY = json.JSONDecoder(object_pairs_hook=_once, parse_int=_integer)


async def _whole(receive: Receive) -> Message:
    """Return the whole body as one message, or the message that the client has disconnected."""
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return {**message, "body": body}
    return message


def _after(message: Message, receive: Receive) -> Receive:
    """Return a Receive that returns this message first."""
    first: Message | None = message

    async def received() -> Message:
        nonlocal first
        given, first = first, None
        return await receive() if given is None else given

    return received
