"""Open orders are read by an index of their own also when there are very many, and all of them newer than what has
ended: as after hours in which the gateway was away. The primary key would lead past every order that has ended."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.plans import indexes

from oms_chassis.db import Database
from oms_order.repository import cancelling, orders, stuck
from oms_order.sweeps import FIRST

ORDERS, OPEN = 40_000, 4_000
_FILL = f"""
INSERT INTO orders (id, status, facts, version, name, email, phone, card_token, card_brand, card_last4, card_expiry,
    total, currency, placed_at, updated_at, reason)
SELECT ('01990000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, open.status, '{{}}', 1,
    'a', 'c' || n || '@scale.example', 'a', 'a', 'a', 'a', 'a', 1, 'USD', now(), now(),
    CASE WHEN open.status = 'CANCELLING' THEN 'customer' END
FROM generate_series(1, {ORDERS}) AS n,
    LATERAL (SELECT CASE WHEN n > {ORDERS - OPEN} THEN %(open)s ELSE 'CONFIRMED' END AS status) AS open
"""


@pytest.fixture(scope="module", params=["PENDING", "PAID", "CANCELLING"])
def filled(migrated_url: str, request: pytest.FixtureRequest) -> Iterator[Database]:
    database = Database(migrated_url, 2)
    database.execute("TRUNCATE orders")
    database.execute(_FILL, open=request.param)
    database.execute("ANALYZE orders")
    yield database
    database.execute("TRUNCATE orders")
    database.dispose()


@pytest.mark.parametrize(
    "ask",
    [
        lambda asked: cancelling.waiting(asked, 1, FIRST, 500),
        lambda asked: cancelling.unanswered(asked, 1, None, FIRST, 500),
        lambda asked: orders.left_behind(asked, 500),
        lambda asked: stuck.page(asked, 1, FIRST, 51),
    ],
    ids=["what takes too long", "cancellations", "what was left behind", "what is stuck"],
)
def test_a_page_of_very_many_open_orders_reads_no_order_that_has_ended(
    filled: Database, ask: Callable[[Any], object]
) -> None:
    (found,) = indexes(filled, ask, whole={"outbox"})  # which holds what is to be published yet
    assert found - {"outbox_pkey"} == {"orders_not_confirmed"}
