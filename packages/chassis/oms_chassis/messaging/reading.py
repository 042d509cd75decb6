"""Decodes the records of a poll: into events to apply, and records that cannot be read."""

from collections.abc import Mapping
from typing import Any

from oms_chassis.db import Database
from oms_chassis.messaging import faults, inbox
from oms_chassis.messaging.deadletters import Failed
from oms_chassis.messaging.streams import BATCH, RECORD_LIMIT, Record
from oms_chassis.messaging.subscription import Subscription
from oms_chassis.messaging.turn import Delivery, Turn
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts.envelope import Event


class Reader:
    """Decodes a service's records. Methods raise SQLAlchemyError while the database is unavailable."""

    def __init__(self, database: Database, subscriptions: Mapping[str, Subscription], metrics: Metrics) -> None:
        self._database, self._subscriptions, self._metrics = database, subscriptions, metrics

    def read(self, turn: Turn) -> tuple[list[Delivery], list[Failed]]:
        """Return the deliveries to apply, and the records that cannot be read. Tombstones are finished here. In a full
        poll, so are records that were processed before: after the group was rewound, that is usually all of them, and
        one statement is enough."""
        deliveries: list[Delivery] = []
        unreadable: list[Failed] = []
        for record in turn.records:
            if self._is_tombstone(record):
                self._finish(turn, record, "tombstone")
                continue
            try:
                deliveries.append(Delivery(record, self._decode(record)))
            except ValueError as error:
                unreadable.append(Failed(record, faults.name(error)))
        if len(turn.records) < BATCH:
            return deliveries, unreadable
        known = self._known(deliveries, unreadable)
        for record in known.values():
            self._finish(turn, record, "duplicate")
        return (
            [delivery for delivery in deliveries if id(delivery.record) not in known],
            [failed for failed in unreadable if id(failed.record) not in known],
        )

    def _known(self, deliveries: list[Delivery], unreadable: list[Failed]) -> dict[int, Record]:
        """Return the records that became dead letters before, and those whose events were applied before."""
        names = [(failed.record.name, failed.record) for failed in unreadable]
        for delivery in deliveries:
            names += [(delivery.record.name, delivery.record), (delivery.event.identity, delivery.record)]
        seen = inbox.seen(self._database, [name for name, _ in names])
        return {id(record): record for name, record in names if name in seen}

    def _finish(self, turn: Turn, record: Record, outcome: str) -> None:
        self._metrics.events.labels(record.topic, outcome).inc()
        turn.finish([record])

    def _is_tombstone(self, record: Record) -> bool:
        """Whether the record is not an event, but lets the broker forget the key in a compacted topic."""
        is_compacted = self._subscriptions[record.topic].topic.compacted
        return is_compacted and record.key is not None and record.value is None

    def _decode(self, record: Record) -> Event[Any]:
        value = record.value or b""
        if len(value) > RECORD_LIMIT:  # it was compressed, and so small enough for its topic
            raise ValueError("larger than any event")
        return self._subscriptions[record.topic].topic.decode(value)
