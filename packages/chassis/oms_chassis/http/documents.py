"""Completes the OpenAPI document: adds the problems that may be answered before any route sees a request, the schema of
a problem, and the response headers with their descriptions."""

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI

from oms_chassis.http.messages import BadHost, RepeatedHeader, UnsupportedCharset, UnsupportedEncoding
from oms_chassis.http.problems import (
    BadRequest,
    BodyTooLarge,
    Internal,
    InvalidRequest,
    MalformedJson,
    Problem,
    documented,
)
from oms_chassis.http.refusals import HeadTooLarge, RequestTimeout, UnsupportedTransferCoding, VersionNotSupported
from oms_chassis.http.strictness import RepeatedField, UnsupportedMediaType

Document = dict[str, Any]
EVERYWHERE: tuple[type[Problem], ...] = (
    BadRequest,
    BadHost,
    RepeatedHeader,
    RequestTimeout,
    BodyTooLarge,
    UnsupportedEncoding,
    UnsupportedCharset,
    InvalidRequest,
    HeadTooLarge,
    Internal,
    UnsupportedTransferCoding,
    VersionNotSupported,
)
WITH_A_BODY: tuple[type[Problem], ...] = (MalformedJson, UnsupportedMediaType, RepeatedField)
HEADERS = {
    "ETag": "The state that is shown, for If-Match and If-None-Match",
    "Idempotent-Replayed": "`true` where it is the answer that the Idempotency-Key got before",
    "Link": "Where the next page is, if there is one (RFC 8288)",
    "Location": "Where the order is shown",
    "RateLimit": "How many requests are left, and for how long",
    "RateLimit-Policy": "How many requests a caller has",
    "X-Accel-Buffering": "`no`: a proxy passes each event on at once",
}
_PROBLEM: Document = {
    "title": "Problem",
    "description": "RFC 9457. Clients go by `type` and `status`; `errors` has each field that is wrong.",
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}


def headed(*names: str) -> Document:
    """Return an answer with these headers, for the `responses` of a route."""
    return {"headers": {name: {"description": HEADERS[name], "schema": {"type": "string"}} for name in names}}


def install(app: FastAPI) -> None:
    """Complete the application's OpenAPI document."""
    plain = app.openapi

    def document() -> Document:
        if app.openapi_schema is None:
            _extend(plain())
        return plain()

    app.openapi = document  # type: ignore[method-assign] # as FastAPI's documentation has it


def join(operation: Document, *kinds: type[Problem]) -> None:
    """Add problems to the responses of an operation; those that it has already stay as they are."""
    there = operation["responses"]
    for status, response in documented(*(kind for kind in kinds if not _is_named(there, kind))).items():
        known = there.setdefault(str(status), response)
        if known is not response:
            known["description"] = f"{known['description']}\n\n{response['description']}"
            known["headers"] = {**known.get("headers", {}), **response.get("headers", {})}


def operations(document: Document) -> Iterator[Document]:
    """Yield all operations of a document."""
    return (operation for path in document["paths"].values() for operation in path.values())


def _extend(document: Document) -> None:
    document.setdefault("components", {}).setdefault("schemas", {})["Problem"] = _PROBLEM
    for operation in operations(document):
        join(operation, *EVERYWHERE, *(WITH_A_BODY if "requestBody" in operation else ()))
        operation["responses"] = dict(sorted(operation["responses"].items()))


def _is_named(responses: Mapping[str, Document], kind: type[Problem]) -> bool:
    return f"`{kind.kind}`: {kind.title}." in responses.get(str(kind.status), {}).get("description", "")
