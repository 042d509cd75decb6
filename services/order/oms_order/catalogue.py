"""Items as this process knows them: in memory, because every order needs their prices."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.concurrency import run_in_threadpool

from oms_chassis.db import Database, Rows
from oms_order.repository import items


@dataclass(frozen=True, slots=True)
class CatalogueItem:
    """An item's newest known state. `unit_price` is in minor units."""

    id: str
    name: str
    unit_price: int
    currency: str
    version: int


class Catalogue:
    """Knows every item that was published a moment ago, and asks the database for those that it does not know."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._items: dict[str, CatalogueItem] = {}
        self._since = datetime.fromtimestamp(0, UTC)

    async def find(self, ids: Iterable[str]) -> dict[str, CatalogueItem]:
        """The items of these ids, as far as there are any."""
        wanted = list(ids)
        missing = [id_ for id_ in wanted if id_ not in self._items]
        if missing:
            self._update(await run_in_threadpool(items.named, self._database, missing))
        return {id_: self._items[id_] for id_ in wanted if id_ in self._items}

    def refresh(self) -> None:
        """Read what changed since the last time."""
        rows = items.changed(self._database, self._since)
        self._update(rows)
        self._since = max((row.seen_at for row in rows), default=self._since)

    def _update(self, rows: Rows) -> None:
        for row in rows:
            known = self._items.get(row.id)
            if known is None or known.version < row.version:
                self._items[row.id] = CatalogueItem(row.id, row.name, row.unit_price, row.currency, row.version)
