"""The consumer: a batch of events is one transaction, and offsets are committed after it.

A batch that fails for its own fault is halved until the bad record stands alone; that one is tried again, then it is a
dead letter, and the rest goes on. A batch that fails because the database or the broker is away is read again.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from oms_chassis import deadletters, inbox, outbox, pacing, tracing
from oms_chassis.db import Database, Transaction, is_unavailable
from oms_chassis.logs import logger
from oms_chassis.metrics import Metrics
from oms_chassis.streams import BATCH, Record, Source, StreamUnavailable, first_offsets, next_offsets
from oms_chassis.threads import turned
from oms_contracts.envelope import Event
from oms_contracts.topics import Topic

log = logger(__name__)

POLL, RECONNECT = 0.5, 0.5  # seconds: kafka-python cannot be woken, so the first bounds how long a stop may take
RETRIES = (0.1, 0.3, 1.0)  # seconds before each further try of a record that stands alone
OBSERVE = 2.0  # seconds between measurements of the lag

Handle = Callable[[Transaction, list[Event[Any]]], None]
Admit = Callable[[Transaction, Sequence[Event[Any]]], list[Event[Any]]]


@dataclass(frozen=True)
class Subscription:
    """A topic, and the function that takes its events: in batches, in order per key, none twice."""

    topic: Topic
    handle: Handle


@dataclass(frozen=True)
class Delivery:
    """A record and the event that it holds."""

    record: Record
    event: Event[Any]


class Consumer:
    """Reads a service's topics as one group until it is stopped."""

    def __init__(
        self,
        service: str,
        database: Database,
        subscriptions: Iterable[Subscription],
        connect: Callable[[], Source],
        metrics: Metrics,
        admit: Admit = inbox.admit,
    ) -> None:
        self._service, self._database, self._connect, self._metrics = service, database, connect, metrics
        self._subscriptions = {one.topic.name: one for one in subscriptions}
        self._admit = admit
        self._stopping = threading.Event()
        self._observed = 0.0
        self.is_ready = False

    def run(self) -> None:
        """Consume; connect anew whenever the broker fails or goes away."""
        while not self._stopping.is_set():
            turned()
            try:
                self._consume()
            except StreamUnavailable as error:
                log.warning("broker_unavailable", error=str(error))
                self._stopping.wait(RECONNECT)

    def stop(self) -> None:
        """Finish the batch at hand, then return from run."""
        self._stopping.set()

    def _consume(self) -> None:
        source = self._connect()
        try:
            while not self._stopping.is_set():
                turned()
                records = source.poll(POLL)
                self._observe(source)
                if records:
                    self._work_off(source, records)
        finally:
            self._metrics.consumer_running.set(0)
            source.close()

    def _work_off(self, source: Source, records: Sequence[Record]) -> None:
        began = time.monotonic()
        try:
            with self._metrics.batches.time():
                self.work(records)
        except SQLAlchemyError as error:
            log.warning("database_unavailable", error=type(error).__name__, records=len(records))
            source.rewind(first_offsets(records))
            self._stopping.wait(0.5)
            return
        source.commit(next_offsets(records))
        if len(records) < BATCH:
            self._stopping.wait(pacing.pause(time.monotonic() - began))

    def work(self, records: Sequence[Record]) -> None:
        """Work records off; SQLAlchemyError if the database is away, and then all of them want to come again."""
        deliveries = []
        for record in records:
            try:
                deliveries.append(Delivery(record, self._decode(record)))
            except ValidationError as error:
                self._bury(record, error)
        self._apply_or_halve(deliveries)

    def _decode(self, record: Record) -> Event[Any]:
        return self._subscriptions[record.topic].topic.decode(record.value or b"")

    def _apply_or_halve(self, deliveries: Sequence[Delivery]) -> None:
        if not deliveries:
            return
        try:
            self._apply(deliveries)
        except Exception as error:
            if is_unavailable(error):
                raise
            if len(deliveries) == 1:
                self._retry_or_bury(deliveries[0], error)
                return
            middle = len(deliveries) // 2
            self._apply_or_halve(deliveries[:middle])
            self._apply_or_halve(deliveries[middle:])

    def _apply(self, deliveries: Sequence[Delivery]) -> None:
        with self._database.transaction() as transaction:
            fresh = self._admit(transaction, [delivery.event for delivery in deliveries])
            for name, events in _by_topic(deliveries, fresh).items():
                with tracing.within(events[0].traceparent):
                    self._subscriptions[name].handle(transaction, events)
        self._count(deliveries, fresh)

    def _retry_or_bury(self, delivery: Delivery, error: Exception) -> None:
        for pause in RETRIES:
            turned()
            if self._stopping.wait(pause):
                raise StreamUnavailable("stopped while a record was being tried again") from error
            try:
                self._apply([delivery])
            except Exception as again:
                if is_unavailable(again):
                    raise
                error = again
            else:
                return
        self._bury(delivery.record, error)

    def _bury(self, record: Record, error: Exception) -> None:
        with self._database.transaction() as transaction:
            if not inbox.new_ids(transaction, [deadletters.identity(record)]):
                return
            outbox.put_raw(transaction, [deadletters.letter(self._service, record, error)])
        self._metrics.dead_letters.labels(record.topic).inc()
        self._metrics.events.labels(record.topic, "dead").inc()
        log.error(
            "dead_letter",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            error=type(error).__name__,
        )

    def _count(self, deliveries: Sequence[Delivery], fresh: Sequence[Event[Any]]) -> None:
        ids = {id(event) for event in fresh}
        for delivery in deliveries:
            outcome = "applied" if id(delivery.event) in ids else "duplicate"
            self._metrics.events.labels(delivery.record.topic, outcome).inc()

    def _observe(self, source: Source) -> None:
        self._assigned(source.is_assigned())
        if time.monotonic() - self._observed < OBSERVE:
            return
        self._observed = time.monotonic()
        self._metrics.lag.clear()  # a partition that moved away is another replica's to report
        for (topic, partition), lag in source.lag().items():
            self._metrics.lag.labels(topic, str(partition)).set(lag)

    def _assigned(self, yes: bool) -> None:
        # Ready means that the group took this consumer in once: Kafka's own state is no part of readiness, so that
        # orders are accepted while it is away.
        self.is_ready = self.is_ready or yes
        self._metrics.consumer_running.set(yes)


def _by_topic(deliveries: Sequence[Delivery], fresh: Sequence[Event[Any]]) -> dict[str, list[Event[Any]]]:
    topics = {id(delivery.event): delivery.record.topic for delivery in deliveries}
    grouped: dict[str, list[Event[Any]]] = {}
    for event in fresh:
        grouped.setdefault(topics[id(event)], []).append(event)
    return grouped
