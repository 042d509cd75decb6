"""A turn of the consumer: the records of one poll, until all are finished or the time is over."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from oms_chassis.messaging.streams import Partition, Record, Source, first_offsets, next_offsets
from oms_contracts.envelope import Event

TURN = 20.0  # seconds until unfinished records are read again: far less than the group allows between two polls


@dataclass(frozen=True)
class Delivery:
    """A record and the event that it holds."""

    record: Record
    event: Event[Any]


class Turn:
    """The records of one poll, and which of them are finished."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = records
        self._left = {_place(record): record for record in records}
        self._end = time.monotonic() + TURN

    def finish(self, records: Iterable[Record]) -> None:
        """Mark records as finished: they were applied, or are dead letters."""
        for record in records:
            self._left.pop(_place(record), None)

    def unfinished(self, deliveries: Iterable[Delivery]) -> list[Delivery]:
        """Return those of these deliveries that are not finished."""
        return [delivery for delivery in deliveries if _place(delivery.record) in self._left]

    def end(self) -> None:
        """End the turn: no further batch begins."""
        self._end = float("-inf")

    def is_over(self) -> bool:
        """Whether no further batch may begin."""
        return time.monotonic() > self._end

    def settle(self, source: Source) -> None:
        """Commit what is finished, and rewind to the rest."""
        done, again = self._offsets()
        if again:
            source.rewind(again)
        if done:
            source.commit(done)

    def _offsets(self) -> tuple[dict[Partition, int], dict[Partition, int]]:
        """Return the offsets to commit, up to the first unfinished record of each partition, and those to read again
        from."""
        again, first = first_offsets(list(self._left.values())), first_offsets(self.records)
        reached = {**next_offsets(self.records), **again}
        return {where: offset for where, offset in reached.items() if offset != first[where]}, again


def _place(record: Record) -> tuple[str, int, int]:
    return record.topic, record.partition, record.offset
