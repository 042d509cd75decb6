"""The statement that writes orders, and the tables that it writes to."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy.exc import DBAPIError

from oms_chassis.db import Database
from oms_order import cancelling
from oms_order.metrics import OrderMetrics
from oms_order.repository.placing import ORDER_COLUMNS, Placement, Stored, Writer


def test_an_order_that_cannot_be_written_takes_no_other_with_it(
    database: Database, make_placement: Callable[..., Placement]
) -> None:
    batch = [make_placement("first"), make_placement("bad\x00one"), make_placement("last")]
    first, bad, last = Writer(database, OrderMetrics(CollectorRegistry())).write(batch)
    assert isinstance(bad, DBAPIError)
    assert [getattr(one, "answer", None) for one in (first, last)] == ["answer to first", "answer to last"]
    assert database.execute("SELECT count(*) AS n FROM orders")[0].n == 2


def test_an_order_whose_key_is_taken_comes_to_the_order_that_has_it(
    database: Database, make_placement: Callable[..., Placement]
) -> None:
    writer = Writer(database, OrderMetrics(CollectorRegistry()))
    first = make_placement("first", "key")
    writer.write([first])
    taken, free = writer.write([make_placement("second", "key"), make_placement("third")])
    assert taken == Stored(first.order_id, "print of first", "answer to first")
    assert isinstance(free, Stored)
    for table, rows in (("orders", 2), ("order_line", 2), ("timeline", 2), ("outbox", 2), ("idempotency", 1)):
        assert database.execute(f"SELECT count(*) AS n FROM {table}")[0].n == rows


def test_of_two_orders_with_one_key_in_one_batch_one_is_written(
    database: Database, make_placement: Callable[..., Placement]
) -> None:
    batch = [make_placement("first", "key"), make_placement("second", "key")]
    first, second = Writer(database, OrderMetrics(CollectorRegistry())).write(batch)
    assert first == second
    assert database.execute("SELECT count(*) AS n FROM orders")[0].n == 1


def test_an_order_s_row_has_every_column_that_is_not_alike_in_all_new_orders(
    make_placement: Callable[..., Placement],
) -> None:
    assert set(make_placement("one").row) == set(ORDER_COLUMNS)


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_process_whose_clock_is_wrong_has_no_order_given_up_or_forgotten(
    database: Database, make_placement: Callable[..., Placement], hours: int
) -> None:
    made = make_placement("Ada")
    skewed = {**made.row, "placed_at": datetime.now(UTC) + timedelta(hours=hours)}
    Writer(database, OrderMetrics(CollectorRegistry())).write([replace(made, row=skewed)])
    cancelling.time_out_sweep(database, OrderMetrics(CollectorRegistry()), 7200)()
    assert [row.status for row in database.execute("SELECT status FROM orders")] == ["PENDING"]
    database.execute("SELECT pg_sleep(0.01)")
    cancelling.time_out_sweep(database, OrderMetrics(CollectorRegistry()), 0.01)()
    assert [row.status for row in database.execute("SELECT status FROM orders")] == ["CANCELLING"]
