"""HTTP/1.0, which some proxies still use for requests to the servers behind them.

It has no `100 Continue`, and no chunks, in which uvicorn sends answers without a length: these end with their
connection (RFC 9112, 6.1; RFC 9110, 10.1.1).
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from oms_chassis.http.halfclosed import HalfClosingHttp

VERSION = "1.0"


class Http10(HalfClosingHttp):
    """uvicorn's protocol, answering each request in its own version."""

    def on_headers_complete(self) -> None:
        """Begin the request, without `100 Continue` in HTTP/1.0."""
        self.expect_100_continue = self.expect_100_continue and self.parser.get_http_version() != VERSION
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGIApp) -> None:  # type: ignore[override] # a protocol
        is_old = cycle.scope["http_version"] == VERSION
        super()._start_asgi_task(cycle, _without_chunks(app, cycle) if is_old else app)  # type: ignore[arg-type]


def _without_chunks(app: ASGIApp, cycle: RequestResponseCycle) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        has_length = True

        async def plain(message: Message) -> None:
            nonlocal has_length
            if message["type"] == "http.response.start":
                has_length = any(name.lower() == b"content-length" for name, _ in message["headers"])
                cycle.chunked_encoding = None if has_length else False
            elif not has_length:
                # so that uvicorn's count of missing bytes reaches 0
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, plain)

    return answer
