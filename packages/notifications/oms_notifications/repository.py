"""The statements for messages. Each takes a whole batch."""

from collections.abc import Iterable, Mapping, Sequence

from oms_chassis.db import Database, Transaction
from oms_chassis.jobs.queue import Job, Settled
from oms_chassis.retention import Retention, of_orders
from oms_chassis.statements import Rows
from oms_chassis.tables import assigned, names, typed
from oms_notifications.messages import FOLLOWS, Kind
from oms_notifications.tables import MessageRow

# The row outlives the job, so that no customer is notified about an order twice, whatever events arrive later. The only
# exception is a confirmed order that is cancelled: its customer is notified of that, too.
_OPENED = ("order_id", "kind", "refund_of")
_FOLLOWS = ", ".join(f"('{later}', '{earlier}')" for later, earlier in FOLLOWS.items())
_OPEN = f"""
INSERT INTO message ({names(MessageRow, *_OPENED)})
SELECT {names(MessageRow, *_OPENED)} FROM json_to_recordset(%(rows)s::json) AS r({typed(MessageRow, *_OPENED)})
ON CONFLICT (order_id) DO UPDATE SET kind = excluded.kind, state = 'pending', attempts = 0, reason = NULL,
    provider_id = NULL, sent_at = NULL
WHERE (excluded.kind, message.kind) IN ({_FOLLOWS}) RETURNING order_id
"""
_SETTLED = ("state", "provider_id", "reason", "attempts")
_SETTLE = f"""
UPDATE message SET {assigned(MessageRow, *_SETTLED, of="r")}, sent_at = CASE WHEN r.state = 'sent' THEN now() END
FROM json_to_recordset(%(rows)s::json) AS r({typed(MessageRow, "order_id", "kind", *_SETTLED)})
WHERE message.order_id = r.order_id AND message.kind = r.kind
RETURNING message.order_id
"""
_REOPEN = "UPDATE message SET state = 'pending', reason = NULL WHERE order_id = ANY(%(orders)s) AND state = 'failed'"
_HOLD = """
UPDATE message SET state = 'failed', reason = r.reason
FROM json_to_recordset(%(rows)s::json) AS r(order_id text, reason text) WHERE message.order_id = r.order_id
"""
# Buckets are locked in sorted order, so that two replicas with the same ones do not deadlock.
_COUNT = """
INSERT INTO message_quota AS kept (bucket, used, ends_at)
SELECT bucket, used, now() + make_interval(secs => seconds)
FROM json_to_recordset(%(rows)s::json) AS r(bucket text, used int, seconds int) ORDER BY bucket
ON CONFLICT (bucket) DO UPDATE SET
    used = CASE WHEN kept.ends_at > now() THEN kept.used ELSE 0 END + excluded.used,
    ends_at = CASE WHEN kept.ends_at > now() THEN kept.ends_at ELSE excluded.ends_at END
RETURNING bucket, used
"""
_PAGE = f"""
SELECT {names(MessageRow)} FROM message
WHERE order_id > %(after)s AND (%(state)s::text IS NULL OR state = %(state)s)
    AND (%(kind)s::text IS NULL OR kind = %(kind)s)
ORDER BY order_id LIMIT %(limit)s
"""
_FIND = f"SELECT {names(MessageRow)} FROM message WHERE order_id = %(order)s FOR UPDATE"
_STATES = "SELECT order_id, state FROM message WHERE order_id = ANY(%(orders)s)"


def open_messages(transaction: Transaction, kind: Kind, orders: Mapping[str, str]) -> list[str]:
    """Open messages about the orders or refunds that have none, and return the ids of those. `orders` maps each to its
    order."""
    rows = (
        {"order_id": about, "kind": kind, "refund_of": None if about == order_id else order_id}
        for about, order_id in orders.items()
    )
    return [row.order_id for row in transaction.execute_rows(_OPEN, rows)]


def about(job: Job) -> str:
    """The id of the order or the refund that a job's message is about."""
    return str(job.payload.get("refund_id") or job.subject)


def settle(transaction: Transaction, settled: Iterable[Settled]) -> set[str]:
    """Write the outcomes of messages. Return the ids of the orders and refunds whose current messages they are."""
    rows = (
        {"order_id": about(job), "kind": job.payload["kind"], "attempts": job.failed_calls + 1, **result}
        for job, result in settled
    )
    return {row.order_id for row in transaction.execute_rows(_SETTLE, rows)}


def reopen(transaction: Transaction, orders: Sequence[str]) -> None:
    """Make failed messages about these orders and refunds pending again."""
    transaction.execute(_REOPEN, orders=list(orders))


def hold(transaction: Transaction, reasons: Mapping[str, str]) -> None:
    """Hold messages that were opened in this transaction, by order or refund, each for a reason."""
    rows = ({"order_id": order_id, "reason": reason} for order_id, reason in reasons.items())
    transaction.execute_rows(_HOLD, rows)


def count(transaction: Transaction, wanted: Mapping[str, int], seconds: Mapping[str, int]) -> dict[str, int]:
    """Add to the count of messages in each bucket, with windows of `seconds`. Return the counts before."""
    rows = ({"bucket": name, "used": wanted[name], "seconds": seconds[name]} for name in sorted(wanted))
    return {row.bucket: row.used - wanted[row.bucket] for row in transaction.execute_rows(_COUNT, rows)}


def page(database: Database, state: str | None, kind: str | None, after: str, limit: int) -> Rows:
    """Return at most `limit` messages, sorted by their orders' ids, after `after`."""
    return database.execute(_PAGE, state=state, kind=kind, after=after, limit=limit)


def find(transaction: Transaction, order_id: str) -> Rows:
    """Lock the order's message until this transaction ends, and return it, if there is one."""
    return transaction.execute(_FIND, order=order_id)


def states(database: Database, orders: Sequence[str]) -> dict[str, str]:
    """Return the states of the messages about these orders, as far as they have one."""
    return {row.order_id: row.state for row in database.execute(_STATES, orders=list(orders))}


def retentions(days: float | None) -> Sequence[Retention]:
    """Return the retention of messages that were sent, or never will be."""
    return of_orders("message", "created_at", days, ended="state IN ('sent', 'failed', 'unknown')")
