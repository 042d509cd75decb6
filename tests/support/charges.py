"""Payments whose jobs a test runs in single passes, with a gateway that fails as the test plans."""

from typing import Any

from prometheus_client import CollectorRegistry

from oms_chassis.db import Database
from oms_chassis.jobs.queue import JobQueue
from oms_contracts.envelope import Event
from oms_payment import handlers
from oms_payment.domain import LEAST_CALLS
from oms_payment.jobs import charging, refunding
from oms_simulators.payment.testcards import Outcome
from support.chassis import deliver, pending_events, pending_jobs, process_due_jobs
from support.gateways import FlakyGateway, token

GIVE_UP_AFTER = 1800.0  # seconds
GOOD, BAD = token(Outcome.APPROVED), token(Outcome.INSUFFICIENT_FUNDS)


def take(database: Database, *events: Event[Any]) -> None:
    """Hand events to their handlers, one by one."""
    for event in events:
        handle = handlers.order_created if event.type == "orderCreatedEvent" else handlers.give_back
        deliver(database, handle, [event])


def charging_at(gateway: FlakyGateway, registry: CollectorRegistry | None = None) -> JobQueue:
    """Return the queue of jobs that charge at this gateway."""
    return charging.job_queue(gateway, 8, GIVE_UP_AFTER, registry or CollectorRegistry())


def let_the_patience_end(database: Database) -> None:
    """Make it look as if calls had failed for as long, and as often, as it takes to give up."""
    database.execute(
        "UPDATE job SET failing_since = failing_since - make_interval(secs => %(s)s),"
        " failed_calls = greatest(failed_calls, %(calls)s)",
        s=GIVE_UP_AFTER,
        calls=LEAST_CALLS,
    )


def make_due(database: Database) -> None:
    """End every backoff and every lease of a dead worker."""
    with database.transaction() as transaction:
        transaction.execute("UPDATE job SET run_at = now()")


def charge_all(database: Database, gateway: FlakyGateway) -> None:
    """Call each charge once that has not been made yet."""
    make_due(database)
    process_due_jobs(database, charging_at(gateway))


def refund_all(database: Database, gateway: FlakyGateway) -> None:
    """Call each refund once that has not been made yet."""
    make_due(database)
    process_due_jobs(database, refunding.job_queue(gateway))


def work_all(database: Database, gateway: FlakyGateway, passes: int = 20) -> None:
    """Make calls until no job is left."""
    for _ in range(passes):
        charge_all(database, gateway)
        refund_all(database, gateway)
        if not pending_jobs(database, "charge") and not pending_jobs(database, "refund"):
            return
    raise AssertionError("jobs are left")


def payment(database: Database, order_id: str = "o1") -> Any:
    """Return the row of an order's payment."""
    (row,) = database.execute("SELECT * FROM payment WHERE order_id = %(id)s", id=order_id)
    return row


def published(database: Database) -> list[str]:
    """Return the types of the events that wait to be sent."""
    return [event.type for event in pending_events(database)]


def die(*_: Any) -> None:
    """End a worker in the middle of its work."""
    raise ConnectionError


def settled(database: Database) -> dict[str, int]:
    """Return the number of payments in each state."""
    return {row.state: row.n for row in database.execute("SELECT state, count(*) AS n FROM payment GROUP BY state")}
