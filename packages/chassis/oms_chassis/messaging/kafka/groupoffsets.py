"""How far a whole group has got, of which a member's own partitions say nothing: it may have none.

The question goes out between two polls, and a later one finds the answer: nothing waits for a broker.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import OffsetSpec

from oms_chassis.messaging.streams import Reached

ANSWER = 5_000  # milliseconds for each answer; after that the question is asked again


class GroupOffsets:
    """Asks how far the group of a consumer has got in these topics."""

    def __init__(self, consumer: KafkaConsumer, names: Sequence[str]) -> None:
        self._names = names
        self._asked: Any = None
        self._cluster, self._manager = consumer._cluster, consumer._manager  # noqa: SLF001 - nothing public can ask
        self._coordinator, self._fetcher = consumer._coordinator, consumer._fetcher  # noqa: SLF001 - without waiting

    def reached(self) -> Mapping[TopicPartition, Reached] | None:
        """The answer, once it is there; asks if that was not done yet. None also if a topic is not known."""
        if self._asked is None:
            self._asked = self._manager.call_soon(self._ask)
        if not self._asked.is_done:
            return None
        asked, self._asked = self._asked, None
        return asked.value if asked.succeeded() else None

    async def _ask(self) -> Mapping[TopicPartition, Reached] | None:
        partitions = [where for name in self._names for where in self._partitions(name)]
        if {where.topic for where in partitions} != set(self._names):
            return None
        # In this order, so that no end is before what was read of it.
        committed = await self._coordinator.fetch_committed_offsets_async(partitions, timeout_ms=ANSWER)
        done = {where: found.offset for where, found in committed.items()}
        ends = await self._offsets(partitions, OffsetSpec.LATEST)
        firsts = await self._offsets((w for w in partitions if done.get(w) != ends[w]), OffsetSpec.EARLIEST)
        return {w: Reached(begun(done.get(w), firsts.get(w, 0), ends[w]), ends[w]) for w in partitions}

    def _partitions(self, name: str) -> list[TopicPartition]:
        return [TopicPartition(name, number) for number in sorted(self._cluster.partitions_for_topic(name) or ())]

    async def _offsets(self, partitions: Iterable[TopicPartition], which: Any) -> dict[TopicPartition, int]:
        asked = dict.fromkeys(partitions, which)
        found = await self._fetcher._fetch_offsets_by_times_async(asked, ANSWER)  # noqa: SLF001 - the same
        return {where: one.offset for where, one in found.items()}


def begun(committed: int | None, first: int, end: int) -> int:
    """Where the group goes on: at the first record that there is, unless it has committed a place that there is."""
    return committed if committed is not None and first <= committed <= end else first
