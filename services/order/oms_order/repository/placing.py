"""Writes batches of orders, with their lines, timelines, events and keys, in one statement and one round trip."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from oms_chassis.db import Database
from oms_chassis.failures import is_unavailable
from oms_chassis.messaging import outbox
from oms_chassis.sessions import leaves_outcome_open
from oms_chassis.statements import Row, as_json, execute
from oms_chassis.tables import columns, names, typed
from oms_contracts.parts import Line
from oms_contracts.topics import ORDER_CREATED
from oms_order.domain import Status
from oms_order.metrics import OrderMetrics
from oms_order.tables import IdempotencyRow, LineRow, OrderRow

RETRY = 0.2  # seconds between two tries of a write whose answer was lost

ORDER_COLUMNS = columns(OrderRow, without=("status", "reason", "facts", "version", "updated_at"))
_ORDER = names(OrderRow, *ORDER_COLUMNS)
_LINE = columns(LineRow, without=("order_id", "position"))  # the lines of the event have fields of the same names
_KEY = ("scope", "key", "fingerprint", "answer")
_STORED = "scope, key, order_id::text, fingerprint, answer"
# A single statement is a transaction of its own. An order whose key is already taken is not written; the order that has
# the key is returned instead. Keys are claimed in sorted order: two replicas with the same keys do not deadlock.
# DO UPDATE, because DO NOTHING returns no row, and a row that was committed a moment ago is invisible to the other
# parts of the statement. The statement is idempotent, even while an earlier execution of it still runs: the ids are
# generated here. `updated_at` is taken from the database's clock: if a process whose clock is hours slow set it, the
# orders would time out at once.
_WRITE = f"""
WITH placed AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%(rows)s::json) AS r(
        {typed(OrderRow, *ORDER_COLUMNS)}, {typed(IdempotencyRow, *_KEY, lines="json", event="text")})
), claimed AS (
    INSERT INTO idempotency (order_id, {names(IdempotencyRow, *_KEY)})
    SELECT id, {names(IdempotencyRow, *_KEY)} FROM placed WHERE key IS NOT NULL ORDER BY scope, key
    ON CONFLICT (scope, key) DO UPDATE SET key = EXCLUDED.key
    RETURNING order_id, {names(IdempotencyRow, *_KEY)}
), accepted AS MATERIALIZED (
    SELECT * FROM placed WHERE key IS NULL OR id IN (SELECT order_id FROM claimed)
), written AS (
    INSERT INTO orders ({_ORDER}, status, facts, version, updated_at)
    SELECT {_ORDER}, 'PENDING', '{{}}', 1, clock_timestamp() FROM accepted
    ON CONFLICT (id) DO NOTHING RETURNING id
), fresh AS MATERIALIZED (
    SELECT accepted.* FROM accepted JOIN written USING (id)
), lines_written AS (
    INSERT INTO order_line (order_id, position, {names(LineRow, *_LINE)})
    SELECT fresh.id, line.position, {names(LineRow, *_LINE, of="line")}
    FROM fresh, json_to_recordset(fresh.lines) AS line({typed(LineRow, "position", *_LINE)})
), timeline_written AS (
    INSERT INTO timeline (order_id, position, status, at, actor) SELECT id, 1, 'PENDING', placed_at, owner FROM fresh
), events_written AS ({outbox.insertion("%(topic)s", "id::text", "event", "fresh ORDER BY id")})
SELECT {_STORED} FROM claimed WHERE order_id NOT IN (SELECT id FROM placed)
"""
_FIND = f"SELECT {_STORED} FROM idempotency WHERE scope = %(scope)s AND key = %(key)s"


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """An order to be written, with its event and its answer in their wire formats.

    `row` has the columns in ORDER_COLUMNS; the others are the same for every new order. `scope` separates the keys of
    different callers. After `answer_by`, on the monotonic clock, nobody waits for the order any more.
    """

    row: Mapping[str, object]
    lines: Sequence[Line]
    event: str
    answer: str
    scope: str
    key: str | None
    fingerprint: str | None
    answer_by: float

    @property
    def is_awaited(self) -> bool:
        """Whether its caller still waits for an answer."""
        return time.monotonic() < self.answer_by

    @property
    def order_id(self) -> str:
        """The order's id."""
        return str(self.row["id"])


@dataclass(frozen=True, slots=True)
class Stored:
    """The result of a placement: its own order, or the earlier order with the same key."""

    order_id: str
    fingerprint: str | None
    answer: str


class Unresolved(Exception):
    """The order may or may not have been stored: the server's answer was lost, and the retries failed.

    There are no retries once the caller has been answered: an order that appeared after its caller had looked for it
    in vain would be placed a second time.
    """


class Writer:
    """Writes batches of placements."""

    def __init__(self, database: Database, metrics: OrderMetrics) -> None:
        self._database, self._metrics = database, metrics

    def write(self, batch: list[Placement]) -> Sequence[Stored | Exception]:
        """Write a batch and return the result of each placement. If bad data fails the batch, each is tried alone.

        An exception as a result means that the order was not stored, except for Unresolved.
        """
        try:
            return self._write_with_retries(batch)
        except SQLAlchemyError as error:
            if is_unavailable(error) or len(batch) == 1:
                return [error] * len(batch)
        return [outcome for placement in batch for outcome in self.write([placement])]

    def _write_with_retries(self, batch: list[Placement]) -> list[Stored | Exception]:
        """Write; if the answer is lost, repeat the statement for the placements that are still awaited."""
        try:
            return self._write(batch)
        except SQLAlchemyError as error:
            if not leaves_outcome_open(error):
                raise
        while awaited := [one for one in batch if one.is_awaited]:
            try:
                found = dict(zip(awaited, self._write(awaited), strict=True))
            except SQLAlchemyError as error:
                if not is_unavailable(error):
                    raise  # bad data: the first try failed for the same reason
                time.sleep(RETRY)
            else:
                return [found.get(one, Unresolved()) for one in batch]
        return [Unresolved() for _ in batch]

    def _write(self, batch: list[Placement]) -> list[Stored | Exception]:
        with self._database.autocommit() as connection:
            outcomes = self.run(connection, batch)
        outbox.notify(self._database)
        return outcomes

    def run(self, connection: Connection, batch: list[Placement]) -> list[Stored | Exception]:
        """Run the statement once."""
        params = {"rows": as_json([_row(one) for one in batch]), "topic": ORDER_CREATED.name}
        earlier = {(row.scope, row.key): _stored(row) for row in execute(connection, _WRITE, params)}
        self._metrics.orders.labels(Status.PENDING).inc(len(batch) - len(earlier))
        return [earlier.get((one.scope, one.key)) or Stored(one.order_id, one.fingerprint, one.answer) for one in batch]


def find(database: Database, scope: str, key: str | None) -> Stored | None:
    """The order that the caller placed with this key, if there is one."""
    rows = database.execute(_FIND, scope=scope, key=key)
    return _stored(rows[0]) if rows else None


def _stored(row: Row) -> Stored:
    return Stored(row.order_id, row.fingerprint, row.answer)


def _row(placement: Placement) -> Mapping[str, object]:
    return {
        **placement.row,
        "lines": [_line(position, line) for position, line in enumerate(placement.lines, start=1)],
        "scope": placement.scope,
        "key": placement.key,
        "fingerprint": placement.fingerprint,
        "answer": placement.answer,
        "event": placement.event,
    }


def _line(position: int, line: Line) -> Mapping[str, object]:
    return {"position": position, **{name: getattr(line, name) for name in _LINE}}
