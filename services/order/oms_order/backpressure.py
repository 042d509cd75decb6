"""Back-pressure: new orders are refused while the outbox is too long, because events are not sent fast enough."""

from oms_chassis.db import Database
from oms_chassis.messaging import outbox
from oms_order.problems import Busy

REFRESH = 0.25  # seconds between two looks at the outbox


class Backpressure:
    """Refuses orders while more than `limit` events wait to be sent."""

    def __init__(self, database: Database, limit: int) -> None:
        self._database, self._limit = database, limit
        self._full = False

    def refresh(self) -> None:
        """Look at the outbox."""
        self._full = outbox.pending(self._database, self._limit + 1) > self._limit

    def check(self) -> None:
        """Raise Busy if there is no room."""
        if self._full:
            raise Busy
