"""A consumer whose events fail, and the admin API with which operators deal with them."""

from typing import Any

from starlette.testclient import TestClient

from oms_chassis.db import Database, Transaction
from oms_chassis.jobs.dead import mark_dead
from oms_chassis.jobs.queue import Done, Job, JobQueue, NewJob, claim, enqueue
from oms_chassis.messaging import outbox
from oms_chassis.messaging.consumer import Consumer
from oms_chassis.messaging.streams import Outgoing, Record
from oms_contracts.envelope import Event
from oms_contracts.events import PaymentCompleted
from oms_contracts.parts import Customer, Line
from oms_contracts.topics import PAYMENT_COMPLETED
from support.seen import note, seen

TOKEN = "of-this-test-0123456789"
SECRET = "ann@example.com"  # hidden from operators unless they ask for it


class Orders:
    """A handler that fails for broken orders."""

    def __init__(self) -> None:
        self.broken: set[str] = set()

    def __call__(self, transaction: Transaction, events: list[Event[Any]]) -> None:
        for event in events:
            note(transaction, [event.subject])
        if any(event.subject in self.broken for event in events):
            raise LookupError(SECRET)


class Calls:
    """Job queues whose calls can be given up on (`calls`), or cannot (`money`)."""

    def __init__(self) -> None:
        self.given_up: list[str] = []
        self.redriven: list[str] = []
        self.queues = [
            JobQueue("calls", lambda _: Done(), lambda *_: None, self._give_up, self._redrive),
            JobQueue("money", lambda _: Done(), lambda *_: None),
        ]

    def _give_up(self, _: Transaction, jobs: list[Job]) -> None:
        self.given_up += [job.payload["to"] for job in jobs]

    def _redrive(self, _: Transaction, jobs: list[Job]) -> None:
        self.redriven += [job.subject for job in jobs]


def states(database: Database, subjects: Any) -> dict[str, str]:
    """Return the states of orders that the service has seen."""
    known = seen(database)
    return {subject: "SEEN" for subject in subjects if subject in known}


def record(order: str, offset: int, event_id: str | None = None) -> Record:
    """Return a record with an event about an order."""
    data = PaymentCompleted(
        order_id=order,
        customer=Customer(name="Ann Other", email=SECRET, phone_number="+94771234567"),
        lines=[Line(item_id="Item1", name="Tea", quantity=1, unit_price=1250)],
        total=1250,
        currency="USD",
        payment_id="pay-1",
    )
    event = PAYMENT_COMPLETED.event(data, order, id=event_id or f"{order}:{offset}")
    return Record(PAYMENT_COMPLETED.name, 0, offset, order.encode(), event.encode().encode(), [("trace", b"x")])


def audit(client: TestClient) -> list[tuple[str, str]]:
    """Return what operators did, and to what, oldest first."""
    return [(entry["action"], entry["subject"]) for entry in reversed(client.get("/admin/audit").json())]


def bury(consumer: Consumer, orders: Orders, *records: Record) -> None:
    """Turn these records into dead letters."""
    orders.broken |= {(one.key or b"").decode() for one in records}
    consumer.work(records)


def dead_job(database: Database, queue: str = "calls") -> None:
    """Give up on a call about the order `a`."""
    with database.transaction() as transaction:
        enqueue(transaction, queue, [NewJob("a:call", "a", {"to": SECRET})])
        mark_dead(transaction, queue, [(job, "timeout") for job in claim(transaction, queue, 10, 60.0)])


def quarantine(database: Database, key: bytes) -> int:
    """Put an event with this key into quarantine, and return its id there."""
    with database.transaction() as transaction:
        outbox.emit_records(transaction, [Outgoing("toy.deadletter", key, b"value")])
    (row,) = database.execute("SELECT id FROM outbox")
    with database.engine.begin() as connection:
        outbox.quarantine(connection, row, "RecordTooLarge")
    return int(row.id)
