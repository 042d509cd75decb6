"""Open refunds are read by an index of their own also when there are very many, and all of them newer than those that
have succeeded: as after hours in which the gateway was away."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.plans import indexes

from oms_chassis.db import Database
from oms_order.repository import refunds
from oms_order.sweeps import FIRST

REFUNDS, OPEN = 40_000, 4_000
_FILL = (
    f"""INSERT INTO orders (id, status, facts, version, name, email, phone, card_token, card_brand, card_last4,
    card_expiry, total, currency, placed_at, updated_at)
    SELECT ('01990000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'CONFIRMED', '{{}}', 1,
    'a', 'c' || n || '@scale.example', 'a', 'a', 'a', 'a', 'a', 2, 'USD', now(), now()
    FROM generate_series(1, {REFUNDS}) AS n""",
    """INSERT INTO timeline (order_id, position, status, at)
    SELECT id, n, 'CONFIRMED', now() FROM orders, generate_series(1, 3) AS n""",
    f"""INSERT INTO refund (id, order_id, amount, lines, restock, status)
    SELECT id, id, 1, '[]', false, CASE WHEN row_number() OVER (ORDER BY id) > {REFUNDS - OPEN} THEN %(open)s
    ELSE 'SUCCEEDED' END FROM orders ORDER BY id""",
)
TABLES = "orders, timeline, refund"


@pytest.fixture(scope="module", params=["PENDING", "FAILED"])
def filled(migrated_url: str, request: pytest.FixtureRequest) -> Iterator[Database]:
    database = Database(migrated_url, 2)
    database.execute(f"TRUNCATE {TABLES}")
    for sql in _FILL:
        database.execute(sql, open=request.param)
    database.execute(f"ANALYZE {TABLES}")
    yield database
    database.execute(f"TRUNCATE {TABLES}")
    database.dispose()


@pytest.mark.parametrize(
    "ask",
    [lambda asked: refunds.unanswered(asked, 1, 9.0, FIRST, 500), lambda asked: refunds.held(asked, 1, FIRST, 51)],
    ids=["what is asked for again", "what operators see to"],
)
def test_a_page_of_very_many_open_refunds_leads_past_none_that_has_succeeded(
    filled: Database, ask: Callable[[Any], object]
) -> None:
    (found,) = indexes(filled, ask)
    assert "refund_pkey" not in found
    assert found & {"refund_not_succeeded", "refund_pending"}
