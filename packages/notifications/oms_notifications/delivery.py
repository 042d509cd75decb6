"""A notice on its way to the customer: the job that carries it, the provider that takes it, what becomes of it."""

import hashlib
import re
from dataclasses import dataclass
from itertools import product
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter

from oms_chassis.db import Transaction
from oms_chassis.jobs.queue import Done, Job, JobQueue, NewJob, Outcome, Retry, Settled
from oms_chassis.telemetry.logs import logger
from oms_notifications.messages import Kind

log = logger(__name__)

ATTEMPTS = 500  # six hours at the chassis's backoff: a provider's bad morning costs no customer their message
DOUBTS = 3  # attempts that may each have reached the customer, until nobody repeats them any more
STATES = ("sent", "failed")
_SAFE = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class Notice:
    """One message to one customer. `subject` is empty where the way of sending has none; `doubts` counts the earlier
    attempts that the customer may have got."""

    order_id: str
    kind: str
    to: str
    text: str
    subject: str = ""
    doubts: int = 0

    @property
    def key(self) -> str:
        """The same for every attempt, and safe in any header: by it a receiver knows a repetition."""
        order = self.order_id
        if not _SAFE.fullmatch(order):
            order = hashlib.sha256(order.encode("utf-8", "surrogatepass")).hexdigest()
        return f"{order}.{self.kind}"

    def job(self, traceparent: str | None) -> NewJob:
        """The job whose call sends this notice; its id lets an order have only one."""
        payload = {"kind": self.kind, "to": self.to, "text": self.text, "subject": self.subject}
        return NewJob(self.order_id, self.order_id, payload, traceparent)

    @classmethod
    def of(cls, job: Job) -> "Notice":
        """The notice that a job carries."""
        return cls(job.subject, **job.payload)


class InDoubt(Retry):
    """The provider may have taken the message, and has no key by which it would know a repetition."""


class Provider(Protocol):
    """Takes notices to customers: a mail server, an SMS provider."""

    def send(self, notice: Notice) -> Outcome:
        """`sent(...)`, `refused(...)`, Retry when things may get better, or InDoubt. May be called by many threads at
        once, and again with a notice whose earlier call did not end well: `notice.key` is then the same."""


def sent(provider_id: str) -> Done:
    """The provider has the message and answers for it."""
    return Done({"state": "sent", "provider_id": provider_id, "reason": None})


def refused(reason: str) -> Done:
    """The provider will never take this message. `reason` is short and holds nothing of the customer's."""
    return Done({"state": "failed", "provider_id": None, "reason": reason})


def job_queue(queue: str, provider: Provider, registry: CollectorRegistry, concurrency: int) -> JobQueue:
    """The worker that sends what the handlers queued, and writes down what became of it."""
    outcomes = Counter("oms_messages_total", "Messages to customers", ["channel", "kind", "state"], registry=registry)
    for kind, state in product(Kind, STATES):
        outcomes.labels(queue, kind, state)

    def settle(transaction: Transaction, settled: list[Settled]) -> None:
        rows = [{"order_id": job.subject, "attempts": job.failed_calls + 1, **result} for job, result in settled]
        transaction.run_rows(_SETTLE, rows)
        for job, result in settled:
            outcomes.labels(queue, job.payload["kind"], result["state"]).inc()
            if result["state"] == "failed":
                log.warning("message_failed", queue=queue, order_id=job.subject, reason=result["reason"])

    def give_up(transaction: Transaction, jobs: list[Job]) -> None:
        settle(transaction, [(job, refused("no attempt succeeded").result) for job in jobs])

    def on_redrive(transaction: Transaction, jobs: list[Job]) -> None:
        transaction.run(_REOPEN, order_ids=[job.subject for job in jobs])

    return JobQueue(
        queue,
        lambda job: _call(provider, Notice.of(job)),
        settle,
        give_up,
        on_redrive,
        concurrency=concurrency,
        max_attempts=ATTEMPTS,
    )


def _call(provider: Provider, notice: Notice) -> Outcome:
    outcome = provider.send(notice)
    if not isinstance(outcome, InDoubt):
        return outcome
    doubts = notice.doubts + 1
    if doubts < DOUBTS:
        return Retry(outcome.reason, {"doubts": doubts})
    return refused(f"{outcome.reason}, {doubts} times")


_SETTLE = """
UPDATE message SET state = r.state, provider_id = r.provider_id, reason = r.reason, attempts = r.attempts,
    sent_at = CASE WHEN r.state = 'sent' THEN now() END
FROM json_to_recordset(%(rows)s::json)
    AS r(order_id text, state text, provider_id text, reason text, attempts int)
WHERE message.order_id = r.order_id
"""
_REOPEN = "UPDATE message SET state = 'pending', reason = NULL WHERE order_id = ANY(%(order_ids)s) AND state = 'failed'"
