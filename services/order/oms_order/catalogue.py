"""The catalogue: a copy of all items in memory, because every order needs their prices.

A row's time is that of its statement, but it becomes visible when its transaction commits, maybe after rows with later
times. So each refresh reads back from the database's present time by as long as a transaction can take; and every few
minutes all items are compared by version, whatever their times say.

The items of a new installation arrive one by one, and nothing marks the last of them. While they are arriving, an
unknown item is only a temporary reason to refuse an order.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from oms_chassis.db import Database
from oms_chassis.http.deadlines import within
from oms_chassis.statements import Rows
from oms_chassis.telemetry.logs import logger
from oms_order.metrics import OrderMetrics
from oms_order.problems import CatalogueEmpty, CatalogueIncomplete
from oms_order.repository import items

log = logger(__name__)

CHUNK = 5_000  # rows that one statement returns
LEAST = 60.0  # seconds that a refresh reads back at least
RECONCILE = 300.0  # seconds between two comparisons of all items
# The first items count as complete after so many seconds without a new one, or so many since the first question.
QUIET, LONGEST = 5.0, 60.0
SHARE = 9.0  # times the duration of a refresh until the next one: refreshing takes a tenth of the time at most


@dataclass(frozen=True, slots=True)
class CatalogueItem:
    """An item's newest known state. `unit_price` is in minor units."""

    id: str
    name: str
    unit_price: int
    currency: str
    available: bool
    version: int


class Catalogue:
    """An in-memory copy of the items, refreshed about once a second; unknown items are looked up in the database."""

    def __init__(
        self,
        database: Database,
        metrics: OrderMetrics,
        every: float = 1.0,
        reconcile: float = RECONCILE,
        reads: Database | None = None,
    ) -> None:
        """`reads` has the connections for looking up unknown items; by default, they are looked up in `database`."""
        self._database, self._every, self._reconcile = database, every, reconcile
        self._reads = reads or database
        limits = database.limits
        self._window = max(LEAST, limits.statement + limits.lock + limits.idle_in_transaction)
        self._read_at, self._compared_at = time.monotonic(), float("-inf")
        self._is_reported = self._has_settled = False
        self._asked_since: float | None = None
        self.items: dict[str, CatalogueItem] = {}
        metrics.catalogue_items.set_function(lambda: len(self.items))
        metrics.catalogue_age.set_function(lambda: time.monotonic() - self._read_at)

    async def find(self, ids: Iterable[str], seconds: float = 5.0) -> dict[str, CatalogueItem]:
        """Those of these items that exist, by id.

        Raises CatalogueEmpty while there are no items at all, CatalogueIncomplete if one is missing while the first
        items are still being published, and TimeoutError if the database does not answer in time.
        """
        wanted = list(ids)
        missing = [id_ for id_ in wanted if id_ not in self.items]
        if missing:
            self._update(await within(seconds, self._look_up, missing))
        return {id_: self.items[id_] for id_ in wanted if id_ in self.items}

    def refresh(self) -> float:
        """Load what has changed since the last refresh; returns in how many seconds to call it again."""
        began = time.monotonic()
        recent = self._recent(began)
        if recent is None:
            for chunk in items.chunks(self._database, CHUNK):
                self._compare(chunk)
            self._compared_at = began
        else:
            self._compare(recent)
        self._read_at = began
        return max(self._every, SHARE * (time.monotonic() - began))

    def _look_up(self, ids: Sequence[str]) -> Rows:
        """Look up these items. Whether the catalogue is empty or incomplete is asked first, so that items that arrive
        in between are found."""
        if not self.items and not items.exist(self._reads):
            raise self._empty()
        is_complete = self._is_complete()
        found = items.named(self._reads, ids)
        if len(found) < len(ids) and not is_complete:
            raise CatalogueIncomplete
        return found

    def _is_complete(self) -> bool:
        """Whether all of the first items seem to have arrived. If items never cease to change, it is assumed after
        LONGEST seconds."""
        now = time.monotonic()
        self._asked_since = self._asked_since or now
        if not self._has_settled:
            self._has_settled = now - self._asked_since > LONGEST or items.have_settled(self._reads, QUIET, LONGEST)
        return self._has_settled

    def _empty(self) -> CatalogueEmpty:
        if not self._is_reported:
            self._is_reported = True
            log.warning("catalogue_is_empty", missing="itemUpdatedEvent: the inventory has not published any item yet")
        return CatalogueEmpty()

    def _recent(self, now: float) -> Rows | None:
        """The versions of recently changed items; None if all items should be compared instead."""
        if now - self._compared_at >= self._reconcile:
            return None
        back = self._window + now - self._read_at
        rows = items.recent(self._database, back, CHUNK)
        return rows if len(rows) < CHUNK else None

    def _compare(self, rows: Rows) -> None:
        newer = [row.id for row in rows if self._is_news(row.id, row.version)]
        if newer:
            self._update(items.named(self._database, newer))

    def _update(self, rows: Rows) -> None:
        for row in rows:
            if self._is_news(row.id, row.version):
                self.items[row.id] = CatalogueItem(
                    row.id, row.name, row.unit_price, row.currency, row.available, row.version
                )

    def _is_news(self, id_: str, version: int) -> bool:
        known = self.items.get(id_)
        return known is None or known.version < version
