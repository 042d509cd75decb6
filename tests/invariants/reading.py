"""Reads the evidence from the services' databases, the gateway's books, the mail catcher and the dead-letter topics."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, LiteralString

import httpx2
import psycopg
from kafka import KafkaConsumer, TopicPartition

from invariants.evidence import (
    Allocation,
    Answer,
    Charge,
    Evidence,
    Item,
    Notice,
    Order,
    Payment,
    Promised,
    Redriven,
    Refund,
    Requested,
    Returned,
    Settled,
    Unanswered,
)
from invariants.messages import said
from invariants.records import consumer_of, count_repeats
from oms_chassis.settings import Settings
from oms_contracts.topics import SERVICES, dead_letter
from oms_simulators.payment import ledger

ALL = 1_000_000  # the most messages that the mail catcher shows at once

_ORDERS = """
SELECT id::text, status, reason, total, email,
    (SELECT json_object_agg(item_id, quantity) FROM order_line WHERE order_id = orders.id),
    (SELECT array_agg(status ORDER BY position) FROM timeline WHERE order_id = orders.id
        AND refund_id IS NULL AND dispute_id IS NULL),
    phone_e164, (SELECT coalesce(sum(unit_price * quantity), 0)::bigint FROM order_line WHERE order_id = orders.id)
FROM orders
"""
_KEYS = """
SELECT CASE scope WHEN 'anonymous' THEN key ELSE scope || ':' || key END, order_id::text FROM idempotency
"""
_PAYMENTS = "SELECT order_id, state, amount, charge_id, refund_id FROM payment"
_REQUESTED = """
SELECT id::text, order_id::text, amount, status, coalesce((
    SELECT json_object_agg(line->>'id', (line->>'quantity')::int) FROM jsonb_array_elements(lines) AS line WHERE restock
), '{}'), EXISTS (SELECT FROM timeline WHERE refund_id = refund.id AND refund_status = 'SUCCEEDED') FROM refund
"""
_SETTLED = "SELECT refund_id, order_id, amount, state, reference FROM requested_refund"
_NOTED = """
SELECT subject, substr(after->>'how', length('was-refunded: ') + 1) FROM audit_log
WHERE action = 'payments.resolve' AND after->>'how' LIKE 'was-refunded: %'
"""
_RETURNED = "SELECT refund_id, order_id, item_id, quantity FROM stock_return"
_ITEMS = """
SELECT id, initial, restocked, on_hand, sold, released, corrected, (
    initial + (SELECT coalesce(sum(quantity), 0) FROM movement WHERE item_id = item.id)
    - (SELECT coalesce(sum(quantity), 0) FROM reservation WHERE item_id = item.id)
    + coalesce((SELECT quantity FROM carried WHERE item_id = item.id), 0)
)::bigint FROM item
"""
# The audit entry of an act is the last statement of its transaction, so that the ids show which act came first.
_REDRIVEN = """
WITH acts AS (
    SELECT subject, min(id) AS first, count(*) FILTER (WHERE action = 'deadletters.redrive') AS redrives
    FROM audit_log WHERE action IN ('deadletters.redrive', 'deadletters.drop') GROUP BY subject
)
SELECT id, coalesce(redrives, 0), (
    SELECT min(earlier.id) FROM dead_letter AS earlier LEFT JOIN acts AS its ON its.subject = earlier.id::text
    WHERE earlier.id < letter.id AND earlier.topic = letter.topic AND earlier.key IS NOT DISTINCT FROM letter.key
        AND (earlier.state = 'dead' OR its.first > acts.first)
) FROM dead_letter AS letter LEFT JOIN acts ON acts.subject = letter.id::text WHERE letter.state = 'redriven'
"""
_LETTERS = "SELECT count(*) FROM dead_letter"
# The poison of tests has a fixed key, or none; events have the key of their subject.
_BURIED = "SELECT count(*) FROM dead_letter WHERE state = 'dead' AND key <> 'poison'"
_ALLOCATIONS = "SELECT order_id, item_id, quantity - released, released FROM reservation"


@dataclass(frozen=True)
class Expected:
    """Facts that are known only to the test that made the load.

    `answers`, `unanswered` and `refunds` (the promised ones) are what clients were answered, see Evidence;
    `dead_letters` is how many each service must have left that nobody has redriven; `copies` how many emails may have
    arrived again (by default any number). `sent_once` means that nothing happened because of which an event may be sent
    again. `buried` is how many letters each service may have that are not poison (by default any number).
    """

    answers: Sequence[Answer] = ()
    unanswered: Sequence[Unanswered] | None = None
    dead_letters: Mapping[str, int] = field(default_factory=dict)
    copies: int | None = None
    refunds: Sequence[Promised] | None = None
    sent_once: bool = False
    buried: Mapping[str, int] | None = None


@dataclass(frozen=True)
class Sources:
    """Where to read: a database URL for each service, and the addresses of the mail catcher and of Kafka (host:port, or
    a service's settings) if they can be reached. `ledger` is the simulator's database if it is not the payment
    service's."""

    databases: Mapping[str, str]
    mailcatcher: str | None = None
    kafka: str | Settings | None = None
    ledger: str | None = None


def read(sources: Sources, expected: Expected) -> Evidence:
    """Return the current evidence. The stores are read one after the other: let the system come to rest first."""
    books = sources.ledger or sources.databases["payment"]
    with _connected() as rows:
        return Evidence(
            orders={order.id: order for order in _orders(rows(sources.databases["order"], _ORDERS))},
            charges=[
                Charge(order_id, charge.amount, charge.approved, charge.id)
                for order_id, charges in ledger.charges_by_order(books).items()
                for charge in charges
            ],
            refunds=list(_refunds(books)),
            payments=[Payment(*row) for row in rows(sources.databases["payment"], _PAYMENTS)],
            requested=[Requested(*row) for row in rows(sources.databases["order"], _REQUESTED)],
            promised=expected.refunds,
            settled=[Settled(*row) for row in rows(sources.databases["payment"], _SETTLED)],
            given=ledger.requested_refunds(books),
            noted={(order_id, reference) for order_id, reference in rows(sources.databases["payment"], _NOTED)},
            returned=[Returned(*row) for row in rows(sources.databases["inventory"], _RETURNED)],
            items=[Item(*row) for row in rows(sources.databases["inventory"], _ITEMS)],
            allocations=[Allocation(*row) for row in rows(sources.databases["inventory"], _ALLOCATIONS)],
            notices=None if sources.mailcatcher is None else _notices(sources.mailcatcher),
            keys=[(key, order_id) for key, order_id in rows(sources.databases["order"], _KEYS)],
            answers=expected.answers,
            unanswered=expected.unanswered,
            copies=None if sources.mailcatcher is None else count_copies(sources.mailcatcher),
            allowed_copies=expected.copies,
            repeats=count_repeats(sources.kafka) if expected.sent_once and sources.kafka is not None else 0,
            outboxes={name: rows(url, "SELECT count(*) FROM outbox")[0][0] for name, url in sources.databases.items()},
            jobs={name: rows(url, "SELECT count(*) FROM job")[0][0] for name, url in sources.databases.items()},
            dead_letters=None if sources.kafka is None else _counts(rows, sources, _LETTERS),
            sent_letters={} if sources.kafka is None else _sent_letters(sources.kafka),
            expected_dead_letters=expected.dead_letters,
            buried=_counts(rows, sources, _BURIED),
            allowed_buried=expected.buried,
            redriven=[Redriven(name, *row) for name, url in sources.databases.items() for row in rows(url, _REDRIVEN)],
        )


def count_buried(sources: Sources) -> dict[str, int]:
    """Return how many events each service has given up on, by its own table, that nobody has redriven."""
    with _connected() as rows:
        return _counts(rows, sources, _BURIED)


def count_dead_letters(sources: Sources) -> dict[str, int]:
    """Return how many dead letters each service has made, by its own table: the topic has one twice if its relay died
    after sending it."""
    with _connected() as rows:
        return _counts(rows, sources, _LETTERS)


def _counts(
    rows: Callable[[str, LiteralString], list[tuple[Any, ...]]], sources: Sources, sql: LiteralString
) -> dict[str, int]:
    return {name: rows(url, sql)[0][0] for name, url in sources.databases.items()}


def count_copies(mailcatcher: str) -> int:
    """Return how many emails were duplicates of earlier ones."""
    counts = httpx2.get(f"{mailcatcher}/messages/count", timeout=30.0).raise_for_status().json()
    return int(counts["emailDeliveries"]) - int(counts["email"])


def _sent_letters(kafka: str | Settings) -> dict[str, int]:
    with consumer_of(kafka) as consumer:
        return {service: _records(consumer, dead_letter(service)) for service in SERVICES}


def _records(consumer: KafkaConsumer, topic: str) -> int:
    partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
    first, end = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
    return sum(end[where] - first[where] for where in partitions)


def _refunds(books: str) -> Iterator[Refund]:
    """Yield the refunds, assigned to orders by their charges: a refund made by hand has no key of ours."""
    charged = {one.id: order_id for order_id, charges in ledger.charges_by_order(books).items() for one in charges}
    for order_id, refunds in ledger.refunds_by_order(books).items():
        yield from (Refund(charged.get(one.charge_id, order_id), one.amount, one.id) for one in refunds)


def _orders(rows: Sequence[tuple[Any, ...]]) -> Iterator[Order]:
    for id_, status, reason, total, email, lines, timeline, phone, price in rows:
        yield Order(id_, status, reason, total, email, lines or {}, timeline or (), phone, price)


def _notices(mailcatcher: str) -> list[Notice]:
    response = httpx2.get(f"{mailcatcher}/messages", params={"limit": ALL}, timeout=120.0).raise_for_status()
    return [_notice(**message) for message in response.json()]


def _notice(*, orderId: str, kind: str, to: str, subject: str, text: str, **_: str) -> Notice:  # noqa: N803 - as sent
    return Notice(orderId, kind, to, said(kind, orderId, subject, text))


def count(url: str, sql: LiteralString) -> int:
    """Return the single number that a statement selects."""
    with _connected() as rows:
        return int(rows(url, sql)[0][0])


@contextmanager
def _connected() -> Iterator[Callable[[str, LiteralString], list[tuple[Any, ...]]]]:
    """Yield a function that reads rows, over one connection per database: connecting costs more than most queries."""
    with ExitStack() as stack:
        connections: dict[str, psycopg.Connection] = {}

        def rows(url: str, sql: LiteralString) -> list[tuple[Any, ...]]:
            if url not in connections:
                connections[url] = stack.enter_context(psycopg.connect(url, autocommit=True))
            return connections[url].execute(sql).fetchall()

        yield rows
