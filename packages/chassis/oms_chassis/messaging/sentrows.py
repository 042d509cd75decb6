"""The outbox rows that a relay has sent but could not delete yet, so that it does not send them again."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from oms_chassis.failures import is_locked
from oms_chassis.messaging import outbox


class SentRows:
    """The sent rows of one relay, for the lifetime of its process and of the database server."""

    def __init__(self) -> None:
        self._server: datetime | None = None
        self._left: list[int] = []
        self.held: list[int] = []  # those that another session has locked

    def begin(self, connection: Connection) -> None:
        """Begin to lead with this session. After a failover, rows that were not replicated may have left their ids to
        other rows; so all rows count as unsent again: sending some twice is better than deleting some unsent."""
        server = outbox.server(connection)
        if server != self._server:
            self._server, self._left, self.held = server, [], []

    def add(self, ids: Sequence[int]) -> None:
        """Remember rows that were sent."""
        self._left += ids

    def forget(self, connection: Connection) -> None:
        """Delete the sent rows; locked ones are left for the next call. If this raises SQLAlchemyError, nothing may be
        sent."""
        if self.held:
            self.held = outbox.delete_free(connection, self.held)
        if not self._left:
            return
        try:
            outbox.delete(connection, self._left)
        except DBAPIError as error:
            if not is_locked(error):
                raise
            self.held += outbox.delete_free(connection, self._left)
        self._left = []
