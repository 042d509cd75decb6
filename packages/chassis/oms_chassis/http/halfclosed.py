"""Answers a client that closes its half of the connection after its request (`nc -N`).

A client that has gone away looks the same: in both cases TCP says that nothing more will come. So a route can find out
(`deadlines.departure`) and skip work that probably nobody waits for; what it answers is sent all the same. A stream
ends, because its client has probably gone, and there may be nothing to send by which that would show.
"""

import asyncio

from oms_chassis.http.coalescing import CoalescingHttp
from oms_chassis.http.deadlines import ENDED


class HalfClosingHttp(CoalescingHttp):
    """uvicorn's protocol, which by itself drops an answer as soon as the client closes either half of the
    connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Prepare the event that says that the client has closed its side."""
        self._ended = asyncio.Event()
        super().connection_made(transport)

    def on_message_begin(self) -> None:
        """Add the event to the scope of a new request."""
        super().on_message_begin()
        self.scope[ENDED] = self._ended  # type: ignore[literal-required] # a scope may hold more than ASGI's own

    def eof_received(self) -> bool:  # type: ignore[override] # what asyncio asks, and uvicorn never answers
        """Note that nothing more will come. Return whether the connection is still needed, for an answer that has not
        begun."""
        self._ended.set()
        newest = self.cycle
        if newest is None or newest.more_body or newest.response_started:
            return False
        newest.keep_alive = False  # the connection is closed after this answer
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection is closed."""
        self._ended.set()
        super().connection_lost(exc)
