"""The rows of the outbox that a relay has sent, and that are not deleted yet: it would send them again and again."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from oms_chassis.failures import is_locked
from oms_chassis.messaging import outbox


class SentRows:
    """One relay's, for as long as its process lives and the server does."""

    def __init__(self) -> None:
        self._server: datetime | None = None
        self._left: list[int] = []
        self.held: list[int] = []  # those that somebody else holds

    def begin(self, connection: Connection) -> None:
        """The relay leads by this session. After a failover its server is another one, and what had not come there may
        have left its ids to other rows: these are sent, though some of them were, rather than deleted unsent."""
        server = outbox.server(connection)
        if server != self._server:
            self._server, self._left, self.held = server, [], []

    def add(self, ids: Sequence[int]) -> None:
        """These were sent."""
        self._left += ids

    def forget(self, connection: Connection) -> None:
        """Delete them, but for those that somebody holds, which are left for the next time. Raises SQLAlchemyError:
        then nothing is to be sent."""
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
