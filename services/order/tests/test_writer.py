"""The statement that writes orders, and the tables that it writes to."""

from datetime import UTC, datetime

from prometheus_client import CollectorRegistry
from sqlalchemy.exc import DBAPIError

from oms_chassis.db import Database
from oms_contracts.events import Customer, Line, OrderCreated, PaymentMethod
from oms_order import ids
from oms_order.metrics import OrderMetrics
from oms_order.writer import Placement, Stored, Writer


def placement(name: str, key: str | None = None) -> Placement:
    order_id = str(ids.new_id())
    created = OrderCreated(
        order_id=order_id,
        customer=Customer(name=name, email="a@example.com", phone_number="12345"),
        lines=[Line(item_id="Item1", name="Item 1", quantity=1, unit_price=1)],
        total=1,
        currency="USD",
        payment=PaymentMethod(token="t", brand="test", last4="1234", expiry="02/22"),
        placed_at=datetime.now(UTC),
    )
    return Placement(order_id, created, "{}", f"answer to {name}", key, key and f"print of {name}")


def test_an_order_that_cannot_be_written_takes_no_other_with_it(database: Database) -> None:
    batch = [placement("first"), placement("bad\x00one"), placement("last")]
    first, bad, last = Writer(database, OrderMetrics(CollectorRegistry())).write(batch)
    assert isinstance(bad, DBAPIError)
    assert [getattr(one, "answer", None) for one in (first, last)] == ["answer to first", "answer to last"]
    assert database.read("SELECT count(*) AS n FROM orders")[0].n == 2


def test_an_order_whose_key_is_taken_comes_to_the_order_that_has_it(database: Database) -> None:
    writer = Writer(database, OrderMetrics(CollectorRegistry()))
    first = placement("first", "key")
    writer.write([first])
    taken, free = writer.write([placement("second", "key"), placement("third")])
    assert taken == Stored(first.order_id, "print of first", "answer to first")
    assert isinstance(free, Stored)
    for table, rows in (("orders", 2), ("order_line", 2), ("timeline", 2), ("outbox", 2), ("idempotency", 1)):
        assert database.read(f"SELECT count(*) AS n FROM {table}")[0].n == rows
