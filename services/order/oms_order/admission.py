"""Whether there is room for another order: what was accepted must also be told to the others within bearable time."""

from oms_chassis.db import Database
from oms_chassis.http.problems import Problem

REFRESH = 0.25  # seconds between two looks at the outbox

_WAITING = "SELECT count(*) AS events FROM (SELECT 1 FROM outbox LIMIT %(enough)s) AS waiting"


class Admission:
    """Refuses orders while more than `limit` events wait to be sent."""

    def __init__(self, database: Database, limit: int) -> None:
        self._database, self._limit = database, limit
        self._full = False

    def refresh(self) -> None:
        """Look at the outbox."""
        self._full = self._database.execute(_WAITING, enough=self._limit + 1)[0].events > self._limit

    def check(self) -> None:
        """Raise Problem 503 if there is no room."""
        if self._full:
            raise busy()


def busy() -> Problem:
    """Nothing was stored: there is no room at the moment."""
    return Problem(503, "busy", "Too many orders are waiting to be worked on", headers={"Retry-After": "5"})
