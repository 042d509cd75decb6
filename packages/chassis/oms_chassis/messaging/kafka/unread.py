"""Pauses what a member cannot read for now, a damaged batch or a topic that the broker refuses, without holding up
anything else."""

import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import TopicAuthorizationFailedError, UnknownTopicOrPartitionError

from oms_chassis.messaging.kafka import batches
from oms_chassis.messaging.kafka.batches import DamagedBatch
from oms_chassis.messaging.streams import BATCH, Damage

# seconds until the next try: another broker may have an intact copy of a batch, and access may be granted again
REST = 30.0
PROVEN = 5.0  # seconds of reading after which a topic no longer counts as refused

Found = Mapping[TopicPartition, Sequence[Any]]


class Unread:
    """Polls a consumer of these topics, and pauses those partitions that cannot be read."""

    def __init__(self, consumer: KafkaConsumer, names: Sequence[str]) -> None:
        self._consumer, self._names = consumer, names
        self._cluster = consumer._cluster  # noqa: SLF001 - there is no public access without waiting
        self._resting: dict[TopicPartition, float] = {}
        self._damaged: dict[TopicPartition, Damage] = {}
        self._refused: dict[str, float] = {}

    def poll(self, seconds: float) -> Found:
        """Poll; return nothing if the poll met something that cannot be read."""
        self._wake()
        try:
            found: Found = self._consumer.poll(timeout_ms=int(seconds * 1000), max_records=BATCH)
        except DamagedBatch as batch:
            self._damaged[batch.where] = batch.damage
            self._rest([batch.where])
            batches.forget(self._consumer._fetcher, batch.where)  # noqa: SLF001 - there is no public way to drop it
            return {}
        except TopicAuthorizationFailedError as error:
            if not self._refuse(error):
                raise
            return {}
        for where in found:
            self._damaged.pop(where, None)
        return found

    def damaged(self) -> Mapping[TopicPartition, Damage]:
        """Return the assigned partitions whose next batch is damaged."""
        ours = self._consumer.assignment()
        self._damaged = {where: damage for where, damage in self._damaged.items() if where in ours}
        return self._damaged

    def refused(self) -> Mapping[str, str]:
        """Return the topics that cannot be read, each with the error's class: access is denied, or there is no such
        topic."""
        now, denied = time.monotonic(), TopicAuthorizationFailedError.__name__
        self._refused = {name: since for name, since in self._refused.items() if now - since < REST + PROVEN}
        missing = [name for name in self._names if not self._cluster.partitions_for_topic(name)]
        refused = {
            name: denied if name in self._cluster.unauthorized_topics else UnknownTopicOrPartitionError.__name__
            for name in missing
        }
        return refused | dict.fromkeys(self._refused, denied)

    def _refuse(self, error: TopicAuthorizationFailedError) -> bool:
        """Pause the topics that an error names. Return whether that paused any partition."""
        (names,) = error.args
        self._refused |= dict.fromkeys(names, time.monotonic())
        ours = [where for where in self._consumer.assignment() - self._resting.keys() if where.topic in names]
        self._rest(ours)
        return bool(ours)

    def _rest(self, partitions: Iterable[TopicPartition]) -> None:
        for where in partitions:
            self._resting[where] = time.monotonic()
            with contextlib.suppress(KeyError):  # it has been assigned to another member
                self._consumer.pause(where)

    def _wake(self) -> None:
        for where, since in list(self._resting.items()):
            if time.monotonic() - since > REST:
                del self._resting[where]
                with contextlib.suppress(KeyError):  # the same
                    self._consumer.resume(where)
