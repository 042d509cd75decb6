"""Open orders, and open refunds, are read by an index of their own also when there are very many, and all of them newer
than what has ended: as after hours in which the gateway was away. The primary key would lead past all that has ended.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.plans import indexes

from oms_chassis.db import Database
from oms_order.repository import cancelling, orders, refunds, stuck
from oms_order.turns import FIRST

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

_FILL_REFUNDS = f"""
INSERT INTO refund (id, order_id, amount, lines, restock, status)
SELECT ('01990000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, gen_random_uuid(), 1, '[]', false,
    CASE WHEN n > {ORDERS - OPEN} THEN %(open)s ELSE 'SUCCEEDED' END
FROM generate_series(1, {ORDERS}) AS n
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
        lambda asked: cancelling.waiting(asked, 1, 500),
        lambda asked: cancelling.unanswered(asked, 1, None, FIRST, 500),
        lambda asked: orders.left_behind(asked, 500),
        lambda asked: stuck.page(asked, 1, FIRST, 51),
    ],
    ids=["what takes too long", "cancellations", "what was left behind", "what is stuck"],
)
def test_a_page_of_very_many_open_orders_leads_past_none_that_has_ended(
    filled: Database, ask: Callable[[Any], object]
) -> None:
    (found,) = indexes(filled, ask, whole={"outbox"})  # which holds what is to be published yet
    assert found - {"outbox_pkey"} == {"orders_not_confirmed"}


@pytest.fixture(params=["PENDING", "FAILED"])
def filled_with_refunds(migrated_url: str, request: pytest.FixtureRequest) -> Iterator[Database]:
    database = Database(migrated_url, 2)
    database.execute("TRUNCATE refund")
    database.execute(_FILL_REFUNDS, open=request.param)
    database.execute("ANALYZE refund")
    yield database
    database.execute("TRUNCATE refund")
    database.dispose()


@pytest.mark.parametrize(
    "ask",
    [
        lambda asked: refunds.unanswered(asked, 1, 9.0, FIRST, 500),
        lambda asked: refunds.held(asked, 1, FIRST, 51),
    ],
    ids=["what is asked for again", "what operators see to"],
)
def test_a_page_of_very_many_open_refunds_leads_past_none_that_has_succeeded(
    filled_with_refunds: Database, ask: Callable[[Any], object]
) -> None:
    (found,) = indexes(filled_with_refunds, ask, whole={"orders", "timeline"})  # which are empty here
    assert "refund_pkey" not in found
    assert found & {"refund_not_succeeded", "refund_pending"}
