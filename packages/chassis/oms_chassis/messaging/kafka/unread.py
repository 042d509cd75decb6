"""What a member cannot read for now: a damaged batch, and a topic that the broker refuses. It rests for a while, and
holds nothing else."""

import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import TopicAuthorizationFailedError, UnknownTopicOrPartitionError

from oms_chassis.messaging.kafka import batches
from oms_chassis.messaging.kafka.batches import DamagedBatch
from oms_chassis.messaging.streams import BATCH, Damage

REST = 30.0  # seconds until it is read again: another broker may have a batch whole, and a right may be granted again
PROVEN = 5.0  # seconds of reading after which a topic counts as no longer refused

Found = Mapping[TopicPartition, Sequence[Any]]


class Unread:
    """Polls a consumer of these topics, and lets rest what cannot be read."""

    def __init__(self, consumer: KafkaConsumer, names: Sequence[str]) -> None:
        self._consumer, self._names = consumer, names
        self._cluster = consumer._cluster  # noqa: SLF001 - nothing public says without waiting what a broker knows
        self._resting: dict[TopicPartition, float] = {}
        self._damaged: dict[TopicPartition, Damage] = {}
        self._refused: dict[str, float] = {}

    def poll(self, seconds: float) -> Found:
        """What a poll brings; nothing if it has met what cannot be read."""
        self._wake()
        try:
            found: Found = self._consumer.poll(timeout_ms=int(seconds * 1000), max_records=BATCH)
        except DamagedBatch as batch:
            self._damaged[batch.where] = batch.damage
            self._rest([batch.where])
            batches.forget(self._consumer._fetcher, batch.where)  # noqa: SLF001 - nothing public lets go of it
            return {}
        except TopicAuthorizationFailedError as error:
            if not self._refuse(error):
                raise
            return {}
        for where in found:
            self._damaged.pop(where, None)
        return found

    def damaged(self) -> Mapping[TopicPartition, Damage]:
        """The partitions of ours whose next batch is damaged."""
        ours = self._consumer.assignment()
        self._damaged = {where: damage for where, damage in self._damaged.items() if where in ours}
        return self._damaged

    def refused(self) -> Mapping[str, str]:
        """The topics that are not read, each with the error's class: none of ours to read, or no topic at all."""
        now, denied = time.monotonic(), TopicAuthorizationFailedError.__name__
        self._refused = {name: since for name, since in self._refused.items() if now - since < REST + PROVEN}
        missing = [name for name in self._names if not self._cluster.partitions_for_topic(name)]
        refused = {
            name: denied if name in self._cluster.unauthorized_topics else UnknownTopicOrPartitionError.__name__
            for name in missing
        }
        return refused | dict.fromkeys(self._refused, denied)

    def _refuse(self, error: TopicAuthorizationFailedError) -> bool:
        """Let the topics rest that an error names; whether there was anything to be done."""
        (names,) = error.args
        self._refused |= dict.fromkeys(names, time.monotonic())
        ours = [where for where in self._consumer.assignment() - self._resting.keys() if where.topic in names]
        self._rest(ours)
        return bool(ours)

    def _rest(self, partitions: Iterable[TopicPartition]) -> None:
        for where in partitions:
            self._resting[where] = time.monotonic()
            with contextlib.suppress(KeyError):  # it is another member's by now
                self._consumer.pause(where)

    def _wake(self) -> None:
        for where, since in list(self._resting.items()):
            if time.monotonic() - since > REST:
                del self._resting[where]
                with contextlib.suppress(KeyError):  # the same
                    self._consumer.resume(where)
