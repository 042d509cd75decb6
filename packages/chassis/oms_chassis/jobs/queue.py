"""Jobs: calls to external systems, made by workers and never inside a transaction.

A handler writes a job's row. A worker claims it, which counts the attempt and leases the job, or is handed it already
claimed. It makes the call with an idempotency key derived from the order, and writes the outcome and its event in one
transaction. The lease is the row's `run_at`, renewed while the call is under way: a job whose worker died becomes due
again. The number of the attempt fences off a worker that was gone for longer than its lease. Attempts count claims;
only failed calls count against a job.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

from oms_chassis.db import Database, Transaction
from oms_chassis.statements import Rows


@dataclass(frozen=True)
class NewJob:
    """A call to be made. `id` is its idempotency key within the queue: a second job with the same id is ignored."""

    id: str
    subject: str
    payload: Mapping[str, Any]
    traceparent: str | None = None


@dataclass(frozen=True)
class Job:
    """A claimed call. With `attempts` above 1, the outcome of an earlier call may be unknown: ask before repeating.

    `attempts` counts claims: some of their workers may never have begun the call. `failed_calls` counts calls that were
    made and did not succeed, the first of them `failing_for` seconds ago. With an `outcome`, the call has been made and
    only has to be settled, which has failed before.
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
    """The call's outcome is known. A refusal is an outcome, too."""

    result: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Unanswered(Done):
    """The call's outcome is unknown and cannot be queried, and the call is not repeated. For the circuit breaker, it
    counts like Unavailable. `reason` as in Retry."""

    reason: str = ""


@dataclass(frozen=True)
class Retry:
    """The call is to be repeated, with these `changes` to its payload, after its backoff and at least `seconds`.
    `reason` is short and contains no personal data."""

    reason: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


class Unavailable(Retry):
    """The provider did not serve the call. After several such jobs in a row, the queue is paused."""


@dataclass(frozen=True)
class Paused:
    """The provider is at fault, not the job: it is unavailable, refuses our login, or limits our rate. The queue makes
    no calls for `seconds` (None: for a growing time), and this call does not count. `reason` as in Retry."""

    reason: str
    seconds: float | None = None


@dataclass(frozen=True)
class Waiting:
    """The provider has accepted the call but not finished it: it is asked again after `seconds` (a quarter of an hour
    at most), with these `changes` to the payload. Nothing has failed."""

    seconds: float
    changes: Mapping[str, Any] = field(default_factory=dict)


class Unsettled(TypedDict):
    """The outcome that is kept with a job, and how many times settling it has failed."""

    result: Mapping[str, Any]
    failures: int


Outcome = Done | Retry | Paused | Waiting
Settled = tuple[Job, Mapping[str, Any]]


@dataclass(frozen=True)
class JobQueue:
    """How the jobs of one queue are processed. `call` runs outside any transaction, the other functions inside one.

    `max_attempts` is the number of calls that may fail; None if no job is ever given up, such as one that moves money.
    A job that is given up is kept as a dead job; `on_redrive` gets those that are to be tried again after all. A call
    that takes longer than `call_seconds` is reported.
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


# A job that is handed over is claimed by its INSERT: its row has one version only, and needs no further transaction.
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
# A worker has the job: the result of its last claim has not been written, and its lease has not expired.
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

# Waits for a claim that is not committed yet, which then counts as an attempt.
_WITHDRAW = "DELETE FROM job WHERE queue = %(queue)s AND id = ANY(%(ids)s) AND attempts = 0 RETURNING subject"


def enqueue(transaction: Transaction, queue: str, jobs: Iterable[NewJob]) -> None:
    """Write job rows. After the commit, this process's worker gets those that it has room for; the others are claimed
    by any worker."""
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
    """Do not hand over these jobs, which this transaction has enqueued: they are left unclaimed instead."""
    handover = transaction.handover(queue)
    if handover and (ours := handover.take_back(ids)):
        transaction.execute(_TAKE_BACK, queue=queue, ids=ours)
        transaction.signals.add(queue)


def withdraw(transaction: Transaction, queue: str, ids: Collection[str]) -> set[str]:
    """Delete those of these jobs that were never claimed: their calls are not made. Return their subjects."""
    take_back(transaction, queue, ids)
    return {row.subject for row in transaction.execute(_WITHDRAW, queue=queue, ids=list(ids))}


def claim(transaction: Transaction, queue: str, limit: int, lease: float) -> list[Job]:
    """Claim due jobs: they are leased to the caller."""
    rows: Rows = transaction.execute(_CLAIM, queue=queue, limit=limit, lease=lease)
    return [Job(*tuple(row)) for row in rows]


def due_in(database: Database, queue: str) -> float:
    """Return the seconds until the next job is due; infinity if there is none."""
    (row,) = database.execute(_DUE_IN, queue=queue)
    return float("inf") if row.seconds is None else float(row.seconds)
