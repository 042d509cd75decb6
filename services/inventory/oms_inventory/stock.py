"""Changes of items and their stock. What other services need (name, price, availability) is published with them."""

from collections.abc import Iterable, Mapping, Sequence

from oms_chassis.db import Transaction
from oms_chassis.messaging import outbox
from oms_chassis.statements import Row, Rows
from oms_chassis.telemetry import tracing
from oms_contracts.events import ItemUpdated
from oms_contracts.topics import ITEM_UPDATED
from oms_inventory import repository
from oms_inventory.domain import summed
from oms_inventory.repository import NewItem, journal, releases
from oms_inventory.repository.journal import Movement


def take(transaction: Transaction, quantities: Mapping[str, int]) -> None:
    """Take these quantities from the stock. The items must be locked, and must have them."""
    rows = repository.take(transaction, quantities)
    _publish(transaction, [row for row in rows if row.on_hand == 0])


def put_back(transaction: Transaction, movements: Sequence[Movement]) -> None:
    """Return stock that orders had taken."""
    quantities = summed((one.item_id, one.quantity) for one in movements)
    repository.lock_stock(transaction, quantities)
    rows = releases.put_back(transaction, quantities)
    journal.write(transaction, movements)
    _publish(transaction, [row for row in rows if row.is_back])


def add(transaction: Transaction, item_id: str, quantity: int, who: str, why: str | None) -> Row:
    """Add to the stock of an existing item; returns the item."""
    rows = repository.add(transaction, item_id, quantity)
    journal.write(transaction, [Movement(item_id, "restocked", quantity, who, why)])
    _publish(transaction, [row for row in rows if row.is_back])
    return rows[0]


def correct(transaction: Transaction, item_id: str, quantity: int, who: str, why: str | None) -> Row:
    """Correct the stock of an existing, locked item by a quantity that may be negative; returns the item."""
    (before,) = repository.lock_stock(transaction, [item_id]).values()
    rows = repository.correct(transaction, item_id, quantity)
    journal.write(transaction, [Movement(item_id, "corrected", quantity, who, why)])
    _publish(transaction, [row for row in rows if (row.on_hand == 0) != (before == 0)])
    return rows[0]


def create(transaction: Transaction, items: Iterable[NewItem], currency: str) -> Rows:
    """Create the items that do not exist yet; returns those."""
    rows = repository.create(transaction, items, currency)
    _publish(transaction, rows)
    return rows


def change(transaction: Transaction, item_id: str, name: str, unit_price: int) -> Row:
    """Change the name or the price of an existing item."""
    rows = repository.change(transaction, item_id, name, unit_price)
    _publish(transaction, rows)
    return rows[0]


def renew(transaction: Transaction, above: int, after: str, limit: int) -> Rows:
    """Publish at most `limit` items after this one again, with versions above the given one and their own; returns
    them."""
    rows = repository.renew(transaction, above, after, limit)
    _publish(transaction, rows)
    return rows


def _publish(transaction: Transaction, rows: Rows) -> None:
    trace = tracing.current()
    outbox.emit(transaction, ((ITEM_UPDATED, ITEM_UPDATED.event(_item_updated(row), row.id, trace)) for row in rows))


def _item_updated(row: Row) -> ItemUpdated:
    return ItemUpdated(
        item_id=row.id,
        name=row.name,
        unit_price=row.unit_price,
        currency=row.currency,
        available=row.on_hand > 0,
        version=row.version,
    )
