"""What the consumer does with the records of one poll: each batch of events is one transaction.

A batch that fails for its own fault is halved until the bad record is alone; that one is tried again, then it is a dead
letter, and the rest goes on. A record whose failure is everything's fault is never a dead letter: see `faults`.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from oms_chassis.db import Database, Transaction, is_unavailable
from oms_chassis.heartbeat import beat
from oms_chassis.messaging import deadletters, inbox, letters, outbox
from oms_chassis.messaging.faults import STREAK, Streaks, SystemicFault, is_systemic, name
from oms_chassis.messaging.streams import RECORD_LIMIT, Record
from oms_chassis.messaging.turn import Delivery, Turn
from oms_chassis.telemetry import tracing
from oms_chassis.telemetry.logs import logger
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts.envelope import Event
from oms_contracts.topics import Topic

log = logger(__name__)

RETRIES = (0.1, 0.3, 1.0)  # seconds before each further try of a record that is alone
PATIENT = 3  # records in a row that are tried again before they count as failed: more of them seldom recover

Handle = Callable[[Transaction, list[Event[Any]]], None]
Deduplicate = Callable[[Transaction, Sequence[Event[Any]]], list[Event[Any]]]


@dataclass(frozen=True)
class Subscription:
    """A topic, and the function that takes its events: in batches, in order per key, none twice."""

    topic: Topic
    handle: Handle


class Processor:
    """Applies a service's events. Methods raise SQLAlchemyError while the database is away."""

    def __init__(
        self,
        service: str,
        database: Database,
        subscriptions: Iterable[Subscription],
        metrics: Metrics,
        deduplicate: Deduplicate,
    ) -> None:
        self._service, self._database, self._metrics, self._deduplicate = service, database, metrics, deduplicate
        self._subscriptions = {one.topic.name: one for one in subscriptions}
        self._streaks = Streaks()
        self._suspects: list[tuple[Delivery, Exception]] = []
        self.stopping = threading.Event()
        for topic in self._subscriptions:
            metrics.dead_letters.labels(topic)
            for outcome in ("applied", "duplicate", "dead"):
                metrics.events.labels(topic, outcome)

    def work(self, turn: Turn) -> None:
        """Finish as many records of a turn as its time allows; SystemicFault if all would fail alike."""
        self._suspects = []
        self._apply_or_halve(turn, self._deliveries(turn))
        for delivery, error in self._suspects:
            self._dead_letter(turn, delivery.record, error)

    def _deliveries(self, turn: Turn) -> list[Delivery]:
        """What can be read; what cannot is a dead letter, and what was one already is left out."""
        buried, deliveries = self._buried(turn.records), []
        for record in turn.records:
            if deadletters.identity(record) in buried:
                self._metrics.events.labels(record.topic, "duplicate").inc()
                turn.finish([record])
                continue
            try:
                deliveries.append(Delivery(record, self._decode(record)))
            except ValueError as error:
                self._dead_letter(turn, record, error)
        return deliveries

    def _buried(self, records: Sequence[Record]) -> set[str]:
        return inbox.seen(self._database, [deadletters.identity(record) for record in records])

    def _decode(self, record: Record) -> Event[Any]:
        value = record.value or b""
        if len(value) > RECORD_LIMIT:  # compressed, it was small enough for its topic
            raise ValueError("larger than any event")
        return self._subscriptions[record.topic].topic.decode(value)

    def _apply_or_halve(self, turn: Turn, deliveries: Sequence[Delivery]) -> None:
        if not deliveries or turn.is_over():
            return
        try:
            self._apply(turn, deliveries)
        except Exception as error:
            if is_unavailable(error) or is_systemic(error):
                raise
            if len(deliveries) == 1:
                self._retry_or_suspect(turn, deliveries[0], error)
                return
            middle = len(deliveries) // 2
            self._apply_or_halve(turn, deliveries[:middle])
            self._apply_or_halve(turn, deliveries[middle:])

    def _apply(self, turn: Turn, deliveries: Sequence[Delivery]) -> None:
        with self._database.transaction() as transaction:
            fresh = self._deduplicate(transaction, [delivery.event for delivery in deliveries])
            for topic, events in _by_topic(deliveries, fresh).items():
                with tracing.within(events[0].traceparent):
                    self._subscriptions[topic].handle(transaction, events)
        turn.finish(delivery.record for delivery in deliveries)
        self._count(deliveries, fresh)

    def _retry_or_suspect(self, turn: Turn, delivery: Delivery, error: Exception) -> None:
        patient = self._streaks.length(delivery.record.topic) < PATIENT
        for pause in RETRIES if patient else ():
            beat()
            if self.stopping.wait(pause):
                turn.end()
                return
            try:
                self._apply(turn, [delivery])
            except Exception as again:
                if is_unavailable(again) or is_systemic(again):
                    raise
                error = again
            else:
                return
        self._suspect(delivery, error)

    def _suspect(self, delivery: Delivery, error: Exception) -> None:
        record = delivery.record
        self._suspects.append((delivery, error))
        if self._streaks.add(record.topic, deadletters.identity(record), error) > STREAK:
            raise SystemicFault(name(error)) from error

    def _dead_letter(self, turn: Turn, record: Record, error: Exception) -> None:
        with self._database.transaction() as transaction:
            is_new = bool(inbox.new_ids(transaction, [deadletters.identity(record)]))
            if is_new:
                letter = deadletters.letter(self._service, record, error)
                outbox.emit_records(transaction, [letter])
                letters.keep(transaction, record, letter, name(error))
        turn.finish([record])
        if not is_new:
            return
        self._metrics.dead_letters.labels(record.topic).inc()
        self._metrics.events.labels(record.topic, "dead").inc()
        place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
        log.error("dead_letter", **place, error=name(error))

    def _count(self, deliveries: Sequence[Delivery], fresh: Sequence[Event[Any]]) -> None:
        ids = {id(event) for event in fresh}
        for delivery in deliveries:
            is_fresh = id(delivery.event) in ids
            self._metrics.events.labels(delivery.record.topic, "applied" if is_fresh else "duplicate").inc()
            if is_fresh:
                self._streaks.end(delivery.record.topic)


def _by_topic(deliveries: Sequence[Delivery], fresh: Sequence[Event[Any]]) -> dict[str, list[Event[Any]]]:
    topics = {id(delivery.event): delivery.record.topic for delivery in deliveries}
    grouped: dict[str, list[Event[Any]]] = {}
    for event in fresh:
        grouped.setdefault(topics[id(event)], []).append(event)
    return grouped
