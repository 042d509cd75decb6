"""However many orders there are, a page of them is found by an index: also by the plan that a connection keeps, which
is made without looking at the parameters. `make bench-scale` times all of it with a million orders."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.plans import indexes

from oms_chassis.db import Database
from oms_order.domain import Status
from oms_order.repository import cancelling, customers, orders, refunds
from oms_order.repository.orders import Filters
from oms_order.sweeps import FIRST

ORDERS = 20_000
BIG = "shop@big.example"
_FILL = f"""
INSERT INTO orders (id, status, facts, version, name, email, phone, card_token, card_brand, card_last4, card_expiry,
    total, currency, placed_at, updated_at)
SELECT ('01990000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'CONFIRMED', '{{}}', 1, 'a',
    CASE WHEN n %% 5 = 0 THEN '{BIG}' ELSE 'c' || n || '@scale.example' END,
    'a', 'a', 'a', 'a', 'a', 1, 'USD', now(), now()
FROM generate_series(1, {ORDERS}) AS n
"""
_OF_EACH = (
    """INSERT INTO timeline (order_id, position, status, at)
    SELECT id, n, 'CONFIRMED', now() FROM orders, generate_series(1, 3) AS n""",
    """INSERT INTO refund (id, order_id, amount, lines, restock, status)
    SELECT gen_random_uuid(), id, 1, '[]', false, 'SUCCEEDED' FROM orders""",
    "INSERT INTO idempotency (scope, key, fingerprint, order_id, answer) SELECT '', id, '', id, '' FROM orders",
)
TABLES = "orders, timeline, refund, idempotency"
OF_OPEN_REFUNDS = {"refund_not_succeeded", "refund_pending"}
OF_OPEN_ORDERS = {"orders_not_confirmed", "orders_email_not_confirmed"}  # both have nothing else in them


@pytest.fixture(scope="module")
def filled(migrated_url: str) -> Iterator[Database]:
    database = Database(migrated_url, 2)
    database.execute(f"TRUNCATE {TABLES}")
    for sql in (_FILL, *_OF_EACH, f"ANALYZE {TABLES}"):
        database.execute(sql)
    yield database
    database.execute(f"TRUNCATE {TABLES}")
    database.dispose()


def read(database: Database, filters: Filters) -> set[str]:
    (found,) = indexes(database, lambda asked: orders.page(asked, filters, None, 51))
    return found


@pytest.mark.parametrize("status", [one for one in Status if one is not Status.CONFIRMED])
def test_orders_of_a_status_that_few_have_are_found_by_it(filled: Database, status: Status) -> None:
    assert read(filled, Filters(status)) == {"orders_not_confirmed"}


@pytest.mark.parametrize("status", [one for one in Status if one is not Status.CONFIRMED])
def test_such_orders_of_a_customer_with_very_many_are_found_by_both(filled: Database, status: Status) -> None:
    assert read(filled, Filters(status, BIG)) <= OF_OPEN_ORDERS


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        (Filters(), "orders_pkey"),
        (Filters(Status.CONFIRMED), "orders_pkey"),
        (Filters(email=BIG), "orders_email"),
        (Filters(Status.CONFIRMED, BIG), "orders_email"),
    ],
    ids=["all", "confirmed", "of a customer", "confirmed of a customer"],
)
def test_all_other_pages_are_a_stretch_of_an_index(filled: Database, filters: Filters, index: str) -> None:
    assert read(filled, filters) == {index}


@pytest.mark.parametrize(
    "ask",
    [
        lambda asked: customers.find(asked, BIG),
        lambda asked: customers.announced(asked, []),
        lambda asked: customers.are_under_way(asked, []),
        lambda asked: customers.erase(asked, []),
    ],
    ids=["find", "announced", "are under way", "erase"],
)
def test_a_customer_s_rows_are_found_by_an_index(filled: Database, ask: Callable[[Any], object]) -> None:
    found = indexes(filled, ask)
    assert found
    assert all(found)


@pytest.mark.parametrize(
    ("ask", "of_open"),
    [
        (lambda asked: cancelling.unanswered(asked, 1, None, FIRST, 500), OF_OPEN_ORDERS),
        (lambda asked: cancelling.waiting(asked, 1, FIRST, 500), OF_OPEN_ORDERS),
        (lambda asked: orders.left_behind(asked, 500), OF_OPEN_ORDERS),
        (lambda asked: refunds.unanswered(asked, 1, None, FIRST, 500), OF_OPEN_REFUNDS),
    ],
    ids=["cancellations", "what takes too long", "what was left behind", "refunds"],
)
def test_what_is_asked_for_again_is_found_among_what_is_open(
    filled: Database, ask: Callable[[Any], object], of_open: set[str]
) -> None:
    (found,) = indexes(filled, ask)
    assert found <= of_open | {"orders_pkey"}  # that of the order that a refund is of
    assert found & of_open


def test_refunds_that_operators_see_to_are_found_among_those_that_have_not_succeeded(filled: Database) -> None:
    (found,) = indexes(filled, lambda asked: refunds.held(asked, 1, FIRST, 51))
    assert found == {"refund_not_succeeded", "orders_pkey", "refund_order", "timeline_pkey"}  # the last three: of each
