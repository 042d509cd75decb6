"""Processes the records of one poll: each batch of events is one transaction.

A batch that fails because of a record is halved until the bad record is alone; that record is retried, then becomes a
dead letter, and the rest goes on. A record that fails because of a systemic fault never becomes one: see `faults`.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from oms_chassis.db import Database
from oms_chassis.failures import is_locked, is_strain, may_do_in_parts
from oms_chassis.heartbeat import beat
from oms_chassis.messaging import deadletters, faults, inbox
from oms_chassis.messaging.deadletters import DeadLetters, Failed
from oms_chassis.messaging.faults import (
    STREAK,
    Patience,
    Strain,
    Streaks,
    SystemicFault,
    blocks_all_events,
    is_systemic,
)
from oms_chassis.messaging.reading import Reader
from oms_chassis.messaging.steps import Steps
from oms_chassis.messaging.streams import BATCH
from oms_chassis.messaging.subscription import Deduplicate, Subscription
from oms_chassis.messaging.turn import Delivery, Turn
from oms_chassis.telemetry import tracing
from oms_chassis.telemetry.logs import logger
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts.envelope import Event

log = logger(__name__)

RETRIES = (0.1, 0.3, 1.0)  # seconds before each retry of a single record


class Processor:
    """Applies a service's events. Methods raise SQLAlchemyError while the database is unavailable."""

    def __init__(
        self,
        service: str,
        database: Database,
        subscriptions: Iterable[Subscription],
        metrics: Metrics,
        deduplicate: Deduplicate,
    ) -> None:
        self._service, self._database, self._metrics, self._deduplicate = service, database, metrics, deduplicate
        self._letters = DeadLetters(service, database, metrics)
        self._subscriptions = {one.topic.name: one for one in subscriptions}
        self._reader = Reader(database, self._subscriptions, metrics)
        self._streaks, self._patience, self._strain = Streaks(), Patience(), Strain()
        self._suspects: list[Failed] = []
        self._size = BATCH  # records per transaction: fewer while the database cannot cope with more
        self.stopping = threading.Event()
        for topic, one in self._subscriptions.items():
            metrics.dead_letters.labels(topic)
            metrics.gaps.labels(topic)
            for outcome in ("applied", "duplicate", "dead", *(["tombstone"] if one.topic.compacted else [])):
                metrics.events.labels(topic, outcome)

    def work(self, turn: Turn) -> None:
        """Finish as many records of a turn as its time allows. Raises SystemicFault if all would fail alike."""
        self._suspects = []
        deliveries, unreadable = self._reader.read(turn)
        self._dead_letter(turn, unreadable)
        try:
            self._apply_all(turn, deliveries)
        except Exception as error:
            if not is_systemic(error):
                raise
            self._apply_by_topic(turn, deliveries, error)
        self._dead_letter(turn, self._suspects)
        self._suspects = []
        self._size = min(BATCH, self._size * 2)

    def _apply_all(self, turn: Turn, deliveries: Sequence[Delivery]) -> None:
        for start in range(0, len(deliveries), size := self._size):
            self._apply_or_halve(turn, deliveries[start : start + size])

    def _apply_by_topic(self, turn: Turn, deliveries: Sequence[Delivery], fault: Exception) -> None:
        """The fault may be in one topic's handler: finish the events of the others. Raises the fault."""
        by_topic: dict[str, list[Delivery]] = {}
        for delivery in turn.unfinished(deliveries):
            by_topic.setdefault(delivery.record.topic, []).append(delivery)
        for part in by_topic.values() if len(by_topic) > 1 else ():
            self._suspects = []
            try:
                self._apply_all(turn, part)
            except Exception as error:
                if not is_systemic(error):
                    raise
            else:
                self._dead_letter(turn, self._suspects)
        raise fault

    def _apply_or_halve(self, turn: Turn, deliveries: Sequence[Delivery]) -> None:
        if not deliveries or turn.is_over():
            return
        try:
            self._apply(turn, deliveries)
        except Exception as error:
            if blocks_all_events(error):
                raise
            if len(deliveries) == 1:
                self._alone(turn, deliveries[0], error)
                return
            middle = len(deliveries) // 2
            if may_do_in_parts(error):
                self._size = middle  # also for the next turn: this one may end before the record is isolated
            self._apply_or_halve(turn, deliveries[:middle])
            self._apply_or_halve(turn, deliveries[middle:])

    def _apply(self, turn: Turn, deliveries: Sequence[Delivery]) -> None:
        steps = Steps(self._service)
        with self._database.transaction() as transaction:
            names = [delivery.record.name for delivery in deliveries]
            fresh = self._deduplicate(transaction, [delivery.event for delivery in deliveries], names)
            for topic, events in _by_topic(deliveries, fresh).items():
                with steps.of(topic, events) as stepped:
                    self._subscriptions[topic].handle(transaction, stepped)
        steps.record()
        turn.finish(delivery.record for delivery in deliveries)
        self._count(deliveries, fresh)

    def _alone(self, turn: Turn, delivery: Delivery, error: Exception) -> None:
        if is_locked(error):
            self._leave(delivery)
        elif is_strain(error):
            self._suspect_if_proven(delivery, error)
        else:
            self._retry_or_suspect(turn, delivery, error)

    def _retry_or_suspect(self, turn: Turn, delivery: Delivery, error: Exception) -> None:
        failed = _failed(delivery, error)
        is_patient = self._patience.is_left()
        for pause in RETRIES if is_patient else (0.0,):
            beat()
            if self.stopping.wait(pause):
                turn.end()
                return
            try:
                self._apply(turn, [delivery])
            except Exception as again:
                if blocks_all_events(again) or is_locked(again):
                    raise
                failed = _failed(delivery, again)
            else:
                self._patience.record(helped=True)
                return
        self._patience.record(helped=False)
        self._suspect(failed)

    def _leave(self, delivery: Delivery) -> None:
        """Leave a record whose rows are locked: it is read again later, and those behind it do not wait. As a rule, the
        lock is on its own order, which other records of the same key need as well."""
        log.warning("record_locked", topic=delivery.record.topic, **tracing.field(delivery.event.traceparent))

    def _suspect_if_proven(self, delivery: Delivery, error: Exception) -> None:
        """The database cannot process this one record. It is retried for a while, in case the server is to blame; then
        the record is suspected, if the database works otherwise."""
        if not (self._strain.is_proven(delivery.record.name) and inbox.is_quick(self._database)):
            raise error
        self._suspect(_failed(delivery, error))

    def _suspect(self, failed: Failed) -> None:
        self._suspects.append(failed)
        if self._streaks.add(failed.record.topic, failed.record.name, failed.error) > STREAK:
            raise SystemicFault(failed.error)

    def _dead_letter(self, turn: Turn, failed: Sequence[Failed]) -> None:
        for portion in deadletters.portions(failed):
            self._letters.write(portion)
            turn.finish(one.record for one in portion)

    def _count(self, deliveries: Sequence[Delivery], fresh: Sequence[Event[Any]]) -> None:
        ids = {id(event) for event in fresh}
        counted = Counter((delivery.record.topic, id(delivery.event) in ids) for delivery in deliveries)
        for (topic, is_fresh), count in counted.items():
            self._metrics.events.labels(topic, "applied" if is_fresh else "duplicate").inc(count)
            if is_fresh:
                self._streaks.end(topic)


def _failed(delivery: Delivery, error: Exception) -> Failed:
    return Failed(delivery.record, faults.name(error), delivery.event.traceparent)


def _by_topic(deliveries: Sequence[Delivery], fresh: Sequence[Event[Any]]) -> dict[str, list[Event[Any]]]:
    topics = {id(delivery.event): delivery.record.topic for delivery in deliveries}
    grouped: dict[str, list[Event[Any]]] = {}
    for event in fresh:
        grouped.setdefault(topics[id(event)], []).append(event)
    return grouped
