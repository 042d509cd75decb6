"""Jobs: calls to the outside, made by workers and never inside a transaction.

A handler writes a job's row; a worker claims it (which records the attempt and leases it) or is handed it, claimed. It
makes the call with an idempotency key made from the order, and writes the outcome with its event in one transaction.
The lease is the row's `run_at`, renewed while the call is under way: a job whose worker died is simply due again. The
attempt's number fences off a worker that was away for longer than its lease. It counts claims; what counts against a
job are its calls.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

from oms_chassis.db import Database, Transaction
from oms_chassis.statements import Rows


@dataclass(frozen=True)
class NewJob:
    """A call to be made. `id` is its idempotency key within the queue: a second job of the same id is ignored."""

    id: str
    subject: str
    payload: Mapping[str, Any]
    traceparent: str | None = None


@dataclass(frozen=True)
class Job:
    """A claimed call. With `attempts` above 1, the outcome of an earlier call may be unknown: ask before repeating.

    `attempts` counts claims: some of their workers may never have begun the call. `failed_calls` counts those that were
    made and did not succeed; the first of them did so `failing_for` seconds ago. With an `outcome`, the call was made,
    and is only to be settled, which has failed before.
    """

    queue: str
    id: str
    subject: str
    payload: Mapping[str, Any]
    traceparent: str | None
    attempts: int
    failed_calls: int = 0
    failing_for: float = 0.0
    outcome: "Unsettled | None" = None


@dataclass(frozen=True)
class Done:
    """The call's outcome is known (a refusal is an outcome, too)."""

    result: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Unanswered(Done):
    """The call's outcome is not known, cannot be asked for, and the call is not made again. It says of the provider
    what Unavailable says. `reason` as in Retry."""

    reason: str = ""


@dataclass(frozen=True)
class Retry:
    """The call is to be made again, with these `changes` to its payload, in so many `seconds` if its backoff is less.
    `reason` is short and holds nothing of the customer's."""

    reason: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


class Unavailable(Retry):
    """The provider did not serve the call. If it serves none of several jobs in a row, the queue is paused."""


@dataclass(frozen=True)
class Paused:
    """The provider is at fault, not the job: it is away, refuses our login, or wants fewer calls. No call of the queue
    is made for so many seconds (None: for a growing time), and this one does not count. `reason` as in Retry."""

    reason: str
    seconds: float | None = None


@dataclass(frozen=True)
class Waiting:
    """The provider has taken the call, and has not come to an end with it: it is asked again after so many seconds
    (a quarter of an hour at most), with these `changes` to the payload. Nothing has failed."""

    seconds: float
    changes: Mapping[str, Any] = field(default_factory=dict)


class Unsettled(TypedDict):
    """What is kept with a job whose outcome could not be settled so many times."""

    result: Mapping[str, Any]
    failures: int


Outcome = Done | Retry | Paused | Waiting
Settled = tuple[Job, Mapping[str, Any]]


@dataclass(frozen=True)
class JobQueue:
    """How the jobs of one queue are done. `call` runs outside any transaction, the other functions inside one.

    `max_attempts` is the number of calls that may fail; None where none is ever given up on, such as one that moves
    money. A job that is given up is kept as a dead one; `on_redrive` gets those that are to be tried again after all.
    A call that takes longer than `call_seconds` is reported.
    """

    name: str
    call: Callable[[Job], Outcome]
    settle: Callable[[Transaction, list[Settled]], None]
    give_up: Callable[[Transaction, list[Job]], None] | None = None
    on_redrive: Callable[[Transaction, list[Job]], None] | None = None
    concurrency: int = 8
    max_attempts: int | None = 10
    lease_seconds: float = 20.0
    call_seconds: float = 60.0


# A job that is handed over is claimed by this: there is one version of its row, and no further transaction.
_PUT = """
INSERT INTO job (queue, id, subject, payload, traceparent, attempts, run_at)
SELECT %(queue)s, id, subject, payload, traceparent, attempts,
    CASE WHEN attempts > 0 THEN clock_timestamp() + make_interval(secs => %(lease)s) ELSE now() END
FROM json_to_recordset(%(rows)s::json)
    AS r(id text, subject text, payload jsonb, traceparent text, attempts int)
ON CONFLICT (queue, id) DO NOTHING
RETURNING queue, id, subject, CASE WHEN attempts > 0 THEN payload END AS payload, traceparent, attempts
"""
_TAKE_BACK = "UPDATE job SET attempts = 0, run_at = now() WHERE queue = %(queue)s AND id = ANY(%(ids)s)"
# Of a row that a worker has: nobody has written what came of its last claim, and its lease has not run out.
UNDER_WAY = """
job.attempts > job.ended_attempt AND job.outcome IS NULL
    AND job.run_at > now() AND job.run_at <= now() + make_interval(secs => %(lease)s)
"""
_CLAIM = """
UPDATE job SET attempts = attempts + 1, run_at = now() + make_interval(secs => %(lease)s)
FROM (
    SELECT queue, id FROM job WHERE queue = %(queue)s AND run_at <= now() AND dead_at IS NULL
    ORDER BY run_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
) AS due
WHERE job.queue = due.queue AND job.id = due.id
RETURNING job.queue, job.id, job.subject, job.payload, job.traceparent, job.attempts, job.failed_calls,
    coalesce(extract(epoch FROM now() - job.failing_since), 0)::float AS failing_for, job.outcome
"""
_DUE_IN = """
SELECT extract(epoch FROM min(run_at) - now())::float AS seconds FROM job
WHERE queue = %(queue)s AND run_at < 'infinity' AND dead_at IS NULL
"""

# A claim that is not committed yet is waited for, and then counts as an attempt.
_WITHDRAW = "DELETE FROM job WHERE queue = %(queue)s AND id = ANY(%(ids)s) AND attempts = 0 RETURNING subject"


def enqueue(transaction: Transaction, queue: str, jobs: Iterable[NewJob]) -> None:
    """Write job rows. Once the transaction is committed, this process's worker has those that it has room for, and
    workers claim the others."""
    handover = transaction.handover(queue)
    room, lease = (handover.room, handover.lease) if handover else (0, 0.0)
    rows = [{**vars(job), "attempts": int(place < room)} for place, job in enumerate(jobs)]
    leased_at = time.monotonic()
    written = [Job(*tuple(row)) for row in transaction.execute_rows(_PUT, rows, queue=queue, lease=lease)]
    claimed = {job.id: (job, leased_at) for job in written if job.attempts}
    if handover:
        handover.add(claimed)
    if len(claimed) < len(written):
        transaction.signals.add(queue)


def take_back(transaction: Transaction, queue: str, ids: Collection[str]) -> None:
    """Hand over none of these jobs that this same transaction has enqueued: they are as if nobody had claimed them."""
    handover = transaction.handover(queue)
    if handover and (ours := handover.take_back(ids)):
        transaction.execute(_TAKE_BACK, queue=queue, ids=ours)
        transaction.signals.add(queue)


def withdraw(transaction: Transaction, queue: str, ids: Collection[str]) -> set[str]:
    """Remove those of these jobs that no worker has ever claimed: their calls are never made. Their subjects."""
    take_back(transaction, queue, ids)
    return {row.subject for row in transaction.execute(_WITHDRAW, queue=queue, ids=list(ids))}


def claim(transaction: Transaction, queue: str, limit: int, lease: float) -> list[Job]:
    """Jobs that are due, now leased to the caller."""
    rows: Rows = transaction.execute(_CLAIM, queue=queue, limit=limit, lease=lease)
    return [Job(*tuple(row)) for row in rows]


def due_in(database: Database, queue: str) -> float:
    """In how many seconds a job comes due; infinity if there is none."""
    (row,) = database.execute(_DUE_IN, queue=queue)
    return float("inf") if row.seconds is None else float(row.seconds)
