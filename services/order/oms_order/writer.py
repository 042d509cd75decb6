"""Writes orders: all that have gathered, with everything that belongs to them, in one statement and one round trip."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from oms_chassis.db import Database, as_json, execute, is_unavailable
from oms_chassis.sessions import leaves_outcome_open
from oms_contracts.events import OrderCreated
from oms_contracts.topics import ORDER_CREATED
from oms_order.domain import Status
from oms_order.idempotency import ANONYMOUS
from oms_order.metrics import OrderMetrics

RESOLVE, RETRY = 5.0, 0.2  # seconds in which a write without an answer is repeated, and between two tries

# A single statement is a transaction of its own. An order whose key is taken already is not written at all, and the
# order that has the key comes back instead; keys are taken in their order, so that two replicas with the same keys
# never wait for each other. DO UPDATE, because DO NOTHING returns no row, and one that was committed a moment ago is
# not visible to the other parts of the statement. It may be repeated, also while the first of it still runs: ids are
# ours and unique, so that what is there already stays as it is.
_WRITE = """
WITH placed AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%(rows)s::json) AS r(
        id uuid, placed_at timestamptz, name text, email text, phone text, phone_e164 text, card_token text,
        card_brand text, card_last4 text, card_expiry text, total bigint, currency text, lines json,
        key text, fingerprint text, answer text, event text)
), claimed AS (
    INSERT INTO idempotency (scope, key, fingerprint, order_id, answer)
    SELECT %(scope)s, key, fingerprint, id, answer FROM placed WHERE key IS NOT NULL ORDER BY key
    ON CONFLICT (scope, key) DO UPDATE SET key = EXCLUDED.key RETURNING key, order_id, fingerprint, answer
), accepted AS MATERIALIZED (
    SELECT * FROM placed WHERE key IS NULL OR id IN (SELECT order_id FROM claimed)
), written AS (
    INSERT INTO orders (id, status, facts, version, name, email, phone, phone_e164, card_token, card_brand, card_last4,
        card_expiry, total, currency, placed_at, updated_at)
    SELECT id, 'PENDING', '{}', 1, name, email, phone, phone_e164, card_token, card_brand, card_last4,
        card_expiry, total, currency, placed_at, placed_at
    FROM accepted
    ON CONFLICT (id) DO NOTHING RETURNING id
), fresh AS MATERIALIZED (
    SELECT accepted.* FROM accepted JOIN written USING (id)
), lines_written AS (
    INSERT INTO order_line (order_id, position, item_id, name, quantity, unit_price)
    SELECT fresh.id, line.position, line.item_id, line.name, line.quantity, line.unit_price
    FROM fresh, json_to_recordset(fresh.lines)
        AS line(position int, item_id text, name text, quantity int, unit_price bigint)
), timeline_written AS (
    INSERT INTO timeline (order_id, position, status, at) SELECT id, 1, 'PENDING', placed_at FROM fresh
), events_written AS (
    INSERT INTO outbox (topic, key, value)
    SELECT %(topic)s, convert_to(id::text, 'UTF8'), convert_to(event, 'UTF8') FROM fresh ORDER BY id
)
SELECT key, order_id::text, fingerprint, answer FROM claimed WHERE order_id NOT IN (SELECT id FROM placed)
"""
_FIND = """
SELECT key, order_id::text, fingerprint, answer FROM idempotency WHERE scope = %(scope)s AND key = ANY(%(keys)s)
"""


@dataclass(frozen=True, slots=True)
class Placement:
    """An order to be written, with its event and its answer as they will be on the wire."""

    order_id: str
    created: OrderCreated
    event: str
    answer: str
    key: str | None
    fingerprint: str | None


@dataclass(frozen=True, slots=True)
class Stored:
    """The order that a placement came to: its own, or the one that its key stands for already."""

    order_id: str
    fingerprint: str | None
    answer: str


class OutcomeUnknown(Exception):
    """The order may have been stored or not: the server was asked, its answer was lost, and asking again failed."""


class Writer:
    """Writes batches of placements."""

    def __init__(self, database: Database, metrics: OrderMetrics) -> None:
        self._database, self._metrics = database, metrics

    def write(self, batch: list[Placement]) -> Sequence[Stored | Exception]:
        """Write a batch; what each placement came to. If its content fails the batch, each is tried by itself.

        An exception means that the order was not stored, but for OutcomeUnknown.
        """
        try:
            return self._write_for_sure(batch)
        except OutcomeUnknown as error:
            return [error] * len(batch)
        except SQLAlchemyError as error:
            if is_unavailable(error) or len(batch) == 1:
                return [error] * len(batch)
        return [outcome for placement in batch for outcome in self.write([placement])]

    async def find(self, key: str) -> Stored | None:
        """What this key stands for, if it stands for an order."""
        return (await run_in_threadpool(self._find, [key])).get(key)

    def _write_for_sure(self, batch: list[Placement]) -> list[Stored | Exception]:
        """Write; if the answer is lost, repeat the statement until there is one, for a while."""
        try:
            return self._write(batch)
        except SQLAlchemyError as error:
            if not leaves_outcome_open(error):
                raise
        deadline = time.monotonic() + RESOLVE
        while time.monotonic() < deadline:
            try:
                return self._write(batch)
            except SQLAlchemyError as error:
                if not is_unavailable(error):
                    raise  # its content: the first try failed by it, too
            time.sleep(RETRY)
        raise OutcomeUnknown

    def _write(self, batch: list[Placement]) -> list[Stored | Exception]:
        with self._database.autocommit() as connection:
            outcomes = self.run(connection, batch)
        self._database.signals.notify(["outbox"])
        return outcomes

    def run(self, connection: Connection, batch: list[Placement]) -> list[Stored | Exception]:
        """Run the statement, once."""
        params = {"rows": as_json([_row(one) for one in batch]), "scope": ANONYMOUS, "topic": ORDER_CREATED.name}
        earlier = {row.key: _stored(row) for row in execute(connection, _WRITE, params)}
        self._metrics.orders.labels(Status.PENDING).inc(len(batch) - len(earlier))
        return [earlier.get(one.key) or Stored(one.order_id, one.fingerprint, one.answer) for one in batch]

    def _find(self, keys: list[str]) -> dict[str, Stored]:
        return {row.key: _stored(row) for row in self._database.execute(_FIND, scope=ANONYMOUS, keys=keys)}


def _stored(row: Any) -> Stored:
    return Stored(row.order_id, row.fingerprint, row.answer)


def _row(placement: Placement) -> dict[str, Any]:
    created = placement.created
    customer, payment = created.customer, created.payment
    return {
        "id": placement.order_id,
        "placed_at": created.placed_at,
        "name": customer.name,
        "email": customer.email,
        "phone": customer.phone_number,
        "phone_e164": customer.phone_e164,
        "card_token": payment.token,
        "card_brand": payment.brand,
        "card_last4": payment.last4,
        "card_expiry": payment.expiry,
        "total": created.total,
        "currency": created.currency,
        "lines": [_line(position, line) for position, line in enumerate(created.lines, start=1)],
        "key": placement.key,
        "fingerprint": placement.fingerprint,
        "answer": placement.answer,
        "event": placement.event,
    }


def _line(position: int, line: Any) -> dict[str, Any]:
    return {
        "position": position,
        "item_id": line.item_id,
        "name": line.name,
        "quantity": line.quantity,
        "unit_price": line.unit_price,
    }
