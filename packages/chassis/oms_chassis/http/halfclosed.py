"""A client that closes its half of a connection once its request is whole (`nc -N`) is answered on the other half.

One that has gone away looks the same: TCP says of both that nothing more will come. So whoever answers can find that
out (`deadlines.departure`), and leave undone what nobody may wait for; what it answers then is sent all the same. A
stream ends, since its client is hardly there any more, and there may be nothing to be sent by which that would show.
"""

import asyncio

from oms_chassis.http.coalescing import CoalescingHttp
from oms_chassis.http.deadlines import ENDED


class HalfClosingHttp(CoalescingHttp):
    """uvicorn's protocol, which drops an answer as soon as its client closes either half of the connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """A client has connected."""
        self._ended = asyncio.Event()
        super().connection_made(transport)

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self.scope[ENDED] = self._ended  # type: ignore[literal-required] # a scope may hold more than ASGI's own

    def eof_received(self) -> bool:  # type: ignore[override] # what asyncio asks, and uvicorn never answers
        """Nothing more will come: whether the connection is needed for an answer that has not begun."""
        self._ended.set()
        newest = self.cycle
        if newest is None or newest.more_body or newest.response_started:
            return False
        newest.keep_alive = False  # it is closed after this answer
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        self._ended.set()
        super().connection_lost(exc)
