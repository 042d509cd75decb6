"""A run is neither credited with, nor blamed for, data that earlier runs left on a release."""

from datetime import UTC, datetime
from uuid import uuid4

import psycopg
import pytest
from incidents.probe import Probe
from invariants import Promised, Sources
from support.chassis import migrated

from chaos import judging
from chaos.clients import Seen
from chaos.excuses import Excuses, Happened
from chaos.ground import ground, letters
from chaos.schedule import Planned

_ORDER = """
INSERT INTO orders (id, status, reason, facts, version, name, email, phone, card_token, card_brand, card_last4,
    card_expiry, total, currency, placed_at, updated_at)
VALUES (%s, 'CANCELLED', 'payment-unavailable', '{}', 3, 'A', 'a@example.com', '1', 'sim-tok-approved-1', 'visa', '1',
    '12/30', 100, 'USD', now(), now())
"""
_REFUND = """
INSERT INTO refund (id, order_id, amount, lines, restock, status, failure)
VALUES (%s, %s, 40, '[]', false, 'FAILED', 'refund-refused')
"""
_LETTER = """
INSERT INTO dead_letter (topic, partition, record_offset, headers, error, state) VALUES ('t', 0, 1, '[]', 'E', %s)
"""


class Shop:
    """The database of an order service."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.probe, self.sources = Probe("http://nobody", url, 1.0), Sources({"order": url})

    def place(self) -> tuple[str, str]:
        """Place an order with a good card whose payment failed, with a refund that failed as well."""
        order, refund = str(uuid4()), str(uuid4())
        self.run(_ORDER, order)
        self.run(_REFUND, refund, order)
        return order, refund

    def run(self, sql: str, *values: object) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(sql.encode(), values)

    def judged(self, before: list[str]) -> list[str]:
        return judging.judge(self.probe, Seen(), [], 1.0, before=before)


@pytest.fixture
def shop(database_url: str) -> Shop:
    migrated(database_url, "oms_order").dispose()
    return Shop(database_url)


def test_failures_before_a_run_are_not_held_against_it(shop: Shop) -> None:
    order, _ = shop.place()
    before = ground(shop.probe, shop.sources)
    assert list(before.orders) == [order]
    assert shop.judged([order]) == []
    report = judging.report(shop.probe, Seen(), [], [], before=[order], seed=1, rate=1.0, began=0.0)
    assert report.failed == 0


def test_failures_during_a_run_are_held_against_it(shop: Shop) -> None:
    earlier, _ = shop.place()
    order, refund = shop.place()
    assert shop.judged([earlier]) == [
        f"refunds-fail-for-a-reason: {refund}: a refund to a card that is approved failed for refund-refused",
        f"payments-fail-for-a-reason: {order}: the payment by a card that is approved failed",
    ]
    report = judging.report(shop.probe, Seen(), [], [], before=[earlier], seed=1, rate=1.0, began=0.0)
    assert report.failed == 1


def test_failures_while_the_gateway_fails_are_excused(shop: Shop) -> None:
    _, refund = shop.place()
    now = datetime.now(UTC)
    failing = Happened(Planned("gateway fails", "timeout", 0.0, 1.0), now, now)
    excuses = Excuses([failing], [failing])
    seen = Seen(refunding={refund: (now, now)})
    assert judging.judge(shop.probe, seen, [], 1.0, excuses=excuses) == []


def test_the_refunds_of_an_earlier_run_count_as_promised(shop: Shop) -> None:
    order, refund = shop.place()
    assert ground(shop.probe, shop.sources).refunds == [Promised(refund, order, 40)]


def test_the_allowed_dead_letters_are_the_earlier_ones_and_those_that_faults_make(shop: Shop) -> None:
    shop.run(_LETTER, "dead")
    before = ground(shop.probe, shop.sources)
    shop.run(_LETTER, "redriven")
    assert before.too_many(letters(shop.sources), {}) == []
    shop.run(_LETTER, "dead")
    assert before.too_many(letters(shop.sources), {}) == ["order has 2 dead letters, and not 1"]
    assert before.too_many(letters(shop.sources), {"order": 1}) == []
