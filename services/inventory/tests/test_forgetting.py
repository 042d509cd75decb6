"""Old orders are deleted, and the stock's books still add up."""

from typing import Any

import httpx2
from support.chassis import as_of, deliver, migrated
from support.stock import cancelled, differences, paid, refund_requested, stock

from oms_chassis import migrations
from oms_chassis.db import Database
from oms_chassis.retention import prune
from oms_inventory import retentions
from oms_inventory.handlers import order_cancelled, payment_completed
from oms_inventory.returns import order_refund_requested

OLD = "018cc251-f400-7000-8000-00000000000%d"  # ids of the first of January 2024


def sell(database: Database) -> None:
    """Three old orders, one of them cancelled, of another a part came back; and one of today."""
    orders = {OLD % 1: {"kettle": 2, "cup": 1}, OLD % 2: {"kettle": 1}, OLD % 3: {"kettle": 3}}
    deliver(database, payment_completed, [paid(order, quantities) for order, quantities in orders.items()])
    deliver(database, order_cancelled, [cancelled(OLD % 2, {"kettle": 1})])
    deliver(database, order_refund_requested, [refund_requested(OLD % 3, "r1", {"kettle": 2})])
    database.execute("UPDATE allocation SET at = '2024-01-01T00:00:00Z'")
    deliver(database, payment_completed, [paid("7fffffff-ffff-7000-8000-00000000000a", {"kettle": 1})])


def forget(database: Database, days: float = 400) -> None:
    (retention,) = retentions.orders(days)
    while prune(database, retention) is not None:
        pass


def test_the_books_add_up_when_old_orders_are_deleted(client: httpx2.Client, database: Database, seed: Any) -> None:
    seed(kettle=10, cup=5)
    sell(database)
    before = stock(database)
    forget(database)
    assert stock(database) == before
    assert [row.n for row in database.execute("SELECT count(*) AS n FROM reservation")] == [1]
    assert differences(database) == []
    assert client.get("/stock/differences").json() == []


def test_what_old_orders_took_is_listed_as_one_movement_of_each_item(
    client: httpx2.Client, database: Database, seed: Any
) -> None:
    seed(kettle=10, cup=5)
    sell(database)
    forget(database)
    forget(database)  # nothing is carried twice
    listed = client.get("/items/kettle/movements").json()
    assert [(one["kind"], one["quantity"]) for one in listed if one["kind"] in {"carried", "reserved"}] == [
        ("reserved", -1),
        ("carried", -6),
    ]
    assert sum(one["quantity"] for one in listed) == stock(database)["kettle"][0]


def test_a_reservation_that_is_lost_is_still_found(database: Database, seed: Any) -> None:
    seed(kettle=10, cup=5)
    sell(database)
    forget(database)
    database.execute("DELETE FROM reservation")
    assert [(one.id, one.on_hand, one.counted) for one in differences(database)] == [("kettle", 6, 7)]


def test_what_an_earlier_release_deleted_is_carried_by_the_migration(database_url: str) -> None:
    database = migrated(database_url, "oms_inventory")
    as_of(database, "oms_inventory", "0010")
    database.execute(
        "INSERT INTO item (id, name, unit_price, currency, initial, on_hand, sold) VALUES"
        " ('kettle', 'Kettle', 1, 'USD', 10, 3, 7), ('cup', 'Cup', 1, 'USD', 5, 5, 0)"
    )
    database.execute("INSERT INTO allocation (order_id, is_allocated) VALUES ('o1', true)")
    database.execute("INSERT INTO reservation (order_id, item_id, quantity) VALUES ('o1', 'kettle', 2)")
    migrations.upgrade(database, "oms_inventory")
    assert differences(database) == []
    carried = [tuple(row) for row in database.execute("SELECT item_id, quantity FROM carried")]
    assert carried == [("kettle", -5)]
    database.dispose()
