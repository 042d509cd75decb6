"""The queue of jobs that send notices."""

from functools import partial
from itertools import product

from prometheus_client import CollectorRegistry, Counter

from oms_chassis.db import Transaction
from oms_chassis.jobs import dead
from oms_chassis.jobs.queue import Done, Job, JobQueue, NewJob, Outcome, Settled, enqueue
from oms_chassis.telemetry import tracing
from oms_chassis.telemetry.logs import logger
from oms_notifications import repository
from oms_notifications.messages import Kind
from oms_notifications.notice import KEPT, OUTDATED, InDoubt, Notice, Provider, refused, unknown

log = logger(__name__)

ATTEMPTS = 500  # six hours with the chassis's backoff: a message survives a provider's bad morning
DOUBTS = 3  # attempts that may each have reached the customer before the message is not sent again
AFTER_DOUBT = 60.0  # seconds until the second of them, twice as many until the third: time for a server to recover
STATES = ("sent", "failed", "unknown", "held")
WITHDRAWN = Done()  # nothing was sent and nothing is written: the order has a later message
_NEWS = {"failed": "message_failed", "unknown": "message_unknown"}


def counter(queue: str, registry: CollectorRegistry) -> Counter:
    """The counter of messages by their outcome; `held` means over a limit."""
    outcomes = Counter("oms_messages_total", "Messages to customers", ["channel", "kind", "state"], registry=registry)
    for kind, state in product(Kind, STATES):
        outcomes.labels(queue, kind, state)
    return outcomes


def job_queue(
    queue: str, provider: Provider, outcomes: Counter, concurrency: int, call_seconds: float = 60.0
) -> JobQueue:
    """The queue of messages that this provider sends, `concurrency` at a time."""

    def settle(transaction: Transaction, settled: list[Settled]) -> None:
        ended = [(job, result) for job, result in settled if result != WITHDRAWN.result]
        ours = repository.settle(transaction, ended)
        _keep(transaction, queue, [(job, result) for job, result in ended if repository.about(job) in ours])
        transaction.after_commit(partial(_report, queue, outcomes, ended))

    def give_up(transaction: Transaction, jobs: list[Job]) -> None:
        settle(transaction, [(job, refused("no attempt succeeded").result) for job in _current(jobs)])

    def on_redrive(transaction: Transaction, jobs: list[Job]) -> None:
        repository.reopen(transaction, [repository.about(job) for job in _current(jobs)])

    return JobQueue(
        queue,
        lambda job: _call(provider, Notice.of(job)),
        settle,
        give_up,
        on_redrive,
        concurrency=concurrency,
        max_attempts=ATTEMPTS,
        call_seconds=call_seconds,
    )


def _keep(transaction: Transaction, queue: str, ended: list[Settled]) -> None:
    """Keep the jobs of messages that were turned down as dead ones, so that they can be sent again."""
    kept = [(job, str(result["reason"])) for job, result in ended if result.get(KEPT)]
    if kept:
        enqueue(transaction, queue, [NewJob(job.id, job.subject, job.payload, job.traceparent) for job, _ in kept])
        dead.shelve(transaction, queue, {job.id: reason for job, reason in kept})


def _report(queue: str, outcomes: Counter, ended: list[Settled]) -> None:
    for job, result in ended:
        outcomes.labels(queue, job.payload["kind"], result["state"]).inc()
        if result["state"] != "sent":
            about = {"order_id": job.subject, **tracing.field(job.traceparent)}
            log.warning(_NEWS[result["state"]], queue=queue, reason=result["reason"], **about)


def _current(jobs: list[Job]) -> list[Job]:
    """Return the jobs whose message is not outdated."""
    return [job for job in jobs if not job.payload.get(OUTDATED)]


def _call(provider: Provider, notice: Notice) -> Outcome:
    if notice.outdated:
        return WITHDRAWN
    outcome = provider.send(notice)
    if not isinstance(outcome, InDoubt):
        return outcome
    doubts = notice.doubts + 1
    if doubts < DOUBTS:
        return InDoubt(outcome.reason, {"doubts": doubts}, AFTER_DOUBT * doubts)
    return unknown(f"{outcome.reason}, {doubts} times")
