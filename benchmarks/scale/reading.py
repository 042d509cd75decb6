"""Measures every filter of `GET /order` and every pair of them, on the first and a late page; and periodic queries."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from uuid import UUID

from benchmarks.scale.figures import Figure, slowest, worst
from benchmarks.scale.filling import BIG, SMALL
from oms_chassis.db import Database
from oms_order.domain import Status
from oms_order.ids import first_id
from oms_order.repository import orders, stuck
from oms_order.repository.orders import Filters

BOUND, LIMIT = 100.0, 101  # milliseconds; one row more than the largest page
STATUSES = (None, *Status)
EMAILS = {None: "anybody", SMALL: "a customer", BIG: "a big customer", "nobody@scale.example": "nobody"}


def figures(database: Database, when: str) -> list[Figure]:
    """Measure every query of a database of orders; of the lists of each status, only the slowest is returned."""
    found = [worst(f"orders, {status or 'any status'}{when}", list(_lists(database, status))) for status in STATUSES]
    found.append(slowest(f"one order{when}", BOUND, _detail(database)))
    found.append(slowest(f"counting the orders under way{when}", BOUND, lambda: stuck.count(database, 300.0)))
    return found


def _lists(database: Database, status: Status | None) -> Iterator[Figure]:
    now = datetime.now(UTC)
    times = {None: "ever", now - timedelta(days=700): "two years", now - timedelta(days=1): "a day"}
    cursors = {None: "first", now - timedelta(days=365): "a year back", now - timedelta(days=725): "last"}
    for email, since, cursor in product(EMAILS, times, cursors):
        what = f"{EMAILS[email]}, {times[since]}, {cursors[cursor]} page"
        filters, before = Filters(status, email, since), cursor and first_id(cursor)
        yield slowest(what, BOUND, lambda f=filters, b=before: orders.page(database, f, b, LIMIT))  # type: ignore[misc]


def _detail(database: Database) -> Callable[[], object]:
    some: UUID = database.execute("SELECT id FROM orders OFFSET 1000 LIMIT 1")[0].id
    return lambda: orders.detail(database, some)
