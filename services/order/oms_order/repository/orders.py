"""Orders and their timelines: what events change, and what callers read.

Ids sort by time, so a page is a range of the primary key: the thousandth page costs as much as the first, and orders
that arrive in the meantime do not shift it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from oms_chassis.db import Database, Transaction
from oms_chassis.laterreleases import known
from oms_chassis.statements import Row, Rows, as_json
from oms_chassis.tables import assigned, names, typed
from oms_order.domain import RULES, Fact, Order, Reason, Rule, Status, Step
from oms_order.ids import first_id, parse
from oms_order.repository import open_orders
from oms_order.sweeps import FIRST
from oms_order.tables import OrderRow, TimelineRow

_STATE = ("status", "reason", "facts", "version")  # what events change
_STEP = ("position", "status", "reason")
_CARD = ("card_brand", "card_last4", "card_expiry")
_CUSTOMER = ("name", "email", "phone", "phone_e164")
_LINE = ("item_id", "name", "quantity", "unit_price")
_SUMMARY = names(OrderRow, without=("facts", "version", "card_token", "owner", *_CARD))
_OWNED = "(%(owner)s::text IS NULL OR owner = %(owner)s)"  # without an owner, every order matches

# Rows are locked in the order of their ids, so that two replicas with the same orders never wait for each other.
_LOCK = f"""
SELECT id::text, {names(OrderRow, *_STATE)} FROM orders
WHERE id = ANY(%(ids)s::uuid[]) AND {_OWNED} ORDER BY orders.id FOR UPDATE
"""
_LOCK_FREE = f"{_LOCK} SKIP LOCKED"
_SAVE = f"""
WITH changed AS (
    SELECT * FROM json_to_recordset(%(rows)s::json) AS r({typed(OrderRow, "id", *_STATE, steps="json")})
), updated AS (
    UPDATE orders SET {assigned(OrderRow, *_STATE, of="c")}, updated_at = clock_timestamp()
    FROM changed c WHERE orders.id = c.id
)
INSERT INTO timeline (order_id, {names(TimelineRow, *_STEP)}, at)
SELECT c.id, {names(TimelineRow, *_STEP, of="s")}, clock_timestamp()
FROM changed c, json_to_recordset(c.steps) AS s({typed(TimelineRow, *_STEP)})
"""
_DETAIL = f"""
SELECT {_SUMMARY}, {names(OrderRow, *_CARD)},
    (SELECT json_agg(line ORDER BY position) FROM order_line line WHERE line.order_id = orders.id) AS lines,
    (SELECT json_agg(step ORDER BY position) FROM timeline step WHERE step.order_id = orders.id) AS timeline,
    (SELECT json_agg(refund ORDER BY requested_at, id) FROM refund WHERE refund.order_id = orders.id) AS refunds,
    (SELECT sum(CASE WHEN refund.status = 'SUCCEEDED' THEN amount ELSE 0 END)::bigint FROM refund
        WHERE refund.order_id = orders.id) AS refunded
FROM orders WHERE id = %(id)s AND {_OWNED}
"""
_CONTENT = f"""
SELECT id::text, {names(OrderRow, *_CUSTOMER)}, total, currency, placed_at, (
    SELECT json_agg(json_build_object({", ".join(f"'{name}', {name}" for name in _LINE)}) ORDER BY position)
    FROM order_line WHERE order_id = orders.id
) AS lines
FROM orders WHERE id = ANY(%(ids)s::uuid[])
"""
_CONDITIONS = {
    "email": "lower(email) = lower(%(email)s)",
    "since": "id >= %(since_id)s AND placed_at >= %(since)s",
    "before": "id < %(before)s",
    "owner": "owner = %(owner)s",
}
_PROGRESS = f"""
SELECT status, version,
    EXISTS (SELECT FROM refund WHERE refund.order_id = orders.id AND refund.status = 'PENDING') AS refunding
FROM orders WHERE id = %(id)s AND {_OWNED}
"""


def _proves(rule: Rule) -> str:
    return " AND ".join(f"facts && '{{{','.join(sorted(one))}}}'" for one in rule.proof)


# No CONFIRMED order is left behind: the only fact that leads on from there is decided and applied at once.
_LED_ON = dict.fromkeys(rule.status for rule in RULES if rule.status is not Status.CONFIRMED)
_LEFT_BEHIND = open_orders.page(
    {status: " OR ".join(_proves(rule) for rule in RULES if rule.status is status) for status in _LED_ON}
)
_STATES = "SELECT id::text, status FROM orders WHERE id = ANY(%(ids)s::uuid[])"
_NEWS = f"""
SELECT {names(TimelineRow, of="t")}
FROM json_to_recordset(%(rows)s::json) AS w(order_id uuid, seen int)
JOIN timeline t ON t.order_id = w.order_id AND t.position > w.seen
ORDER BY t.order_id, t.position
"""


@dataclass(frozen=True)
class Filters:
    """Which orders a list contains; None means all."""

    status: Status | None = None
    email: str | None = None
    since: datetime | None = None
    owner: str | None = None


def lock(transaction: Transaction, ids: Iterable[str], owner: str | None = None) -> dict[str, Order]:
    """Lock those of these orders that exist (and belong to `owner`, if given) until the transaction ends.

    Returns them by id.
    """
    return {row.id: _order(row) for row in transaction.execute(_LOCK, ids=sorted(ids), owner=owner)}


def lock_free(transaction: Transaction, ids: Iterable[str]) -> Sequence[Order]:
    """Lock these orders without waiting: those that another transaction holds are left out, and the next sweep finds
    them."""
    return [_order(row) for row in transaction.execute(_LOCK_FREE, ids=sorted(ids), owner=None)]


def left_behind(transaction: Transaction, most: int) -> Sequence[str]:
    """Return the ids of at most `most` orders whose facts lead on from their status: an older release stored the facts,
    but did not know the status."""
    return [row.id for row in transaction.execute(_LEFT_BEHIND, after=FIRST, most=most)]


def save(transaction: Transaction, changed: Iterable[tuple[Order, Iterable[Step]]]) -> None:
    """Write locked orders, with their new steps."""
    transaction.execute_rows(_SAVE, (_row(order, steps) for order, steps in changed))


def page(database: Database, filters: Filters, before: UUID | None, limit: int) -> Rows:
    """Return at most `limit` orders, newest first, starting after the order `before` or with the newest one."""
    params = {**vars(filters), "since_id": filters.since and first_id(filters.since), "before": before}
    conditions = [sql for name, sql in _CONDITIONS.items() if params[name] is not None]
    if filters.status is not None:
        # Spelled out, as in the partial indexes: the plan of a prepared statement does not know its parameters.
        conditions.append(f"status = '{Status(filters.status).value}'")
    where = " AND ".join(conditions) or "true"
    sql = f"SELECT {_SUMMARY} FROM orders WHERE {where} ORDER BY id DESC LIMIT %(limit)s"
    return database.execute(sql, **params, limit=limit)


def detail(at: Database | Transaction, order_id: UUID, owner: str | None = None) -> Rows:
    """Return the order, if it exists (and belongs to `owner`, if given). `lines`, `timeline` and `refunds` are lists of
    dictionaries."""
    return at.execute(_DETAIL, id=order_id, owner=owner)


def contents(transaction: Transaction, ids: Sequence[str]) -> Rows:
    """Return the `id`, the customer's columns, `total`, `currency`, `placed_at` and `lines` of each of these orders."""
    return transaction.execute(_CONTENT, ids=list(ids))


def progress(database: Database, order_id: UUID, owner: str | None = None) -> Rows:
    """Return the order's `status` and `version`, and whether a refund is pending (`refunding`), if the order exists
    (and belongs to `owner`, if given)."""
    return database.execute(_PROGRESS, id=order_id, owner=owner)


def states(database: Database, subjects: Sequence[str]) -> dict[str, str]:
    """Return the statuses of those of these subjects that are orders."""
    orders = [subject for subject in subjects if parse(subject)]
    return {row.id: row.status for row in database.execute(_STATES, ids=orders)}


def news(database: Database, seen: Mapping[UUID, int]) -> Rows:
    """Return the rows of these orders' timelines after the positions in `seen`."""
    rows = [{"order_id": order_id, "seen": position} for order_id, position in seen.items()]
    return database.execute(_NEWS, rows=as_json(rows))


def _order(row: Row) -> Order:
    reason = known(Reason, row.reason) if row.reason else None
    facts = frozenset(known(Fact, fact) for fact in row.facts)
    return Order(row.id, known(Status, row.status), reason, facts, row.version)


def _row(order: Order, steps: Iterable[Step]) -> Mapping[str, object]:
    return {**vars(order), "facts": sorted(order.facts), "steps": [vars(step) for step in steps]}
