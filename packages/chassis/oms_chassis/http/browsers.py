"""Response headers for browsers: CORS for allowed origins, and headers that prevent guessing of types and storing."""

from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oms_chassis.access import AccessSettings

_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)
_DATA = ((b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),)
_UNLESS_SET = (b"cache-control", b"no-store")
_PAGES = ("/docs",)  # Swagger's page, which loads scripts
CORS: dict[str, Any] = {
    "allow_methods": ["GET", "POST", "PUT"],
    "allow_headers": ["Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "Last-Event-ID",
                      "traceparent"],
    "expose_headers": ["ETag", "Idempotent-Replayed", "Link", "Location", "RateLimit", "RateLimit-Policy",
                       "Retry-After", "WWW-Authenticate"],
    "max_age": 600,
}  # fmt: skip


def install(app: FastAPI, settings: AccessSettings) -> None:
    """Wrap an application in the middlewares that the settings ask for. Preflights are answered here, before
    authentication, because they carry no credentials."""
    if settings.cors_origins:
        app.add_middleware(CORSMiddleware, allow_origins=settings.cors_origins, **CORS)
    if settings.security_headers:
        app.add_middleware(SecurityHeaders, hsts_seconds=settings.hsts_seconds)


class SecurityHeaders:
    """Adds headers that keep browsers from guessing the type of an answer, from framing it, and from storing it."""

    def __init__(self, app: ASGIApp, hsts_seconds: int) -> None:
        hsts = [(b"strict-transport-security", b"max-age=%d; includeSubDomains" % hsts_seconds)] if hsts_seconds else []
        self._app, self._always = app, [*_ALWAYS, *hsts]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        ours = self._always if scope["path"].startswith(_PAGES) else [*self._always, *_DATA]

        async def extended(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"]
                is_set = any(name == _UNLESS_SET[0] for name, _ in headers)
                message["headers"] = [*headers, *ours] if is_set else [*headers, *ours, _UNLESS_SET]
            await send(message)

        await self._app(scope, receive, extended)
