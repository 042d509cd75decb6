"""Asks the broker how far a whole group has got. A member's own partitions do not show it: there may be none.

The request is sent between two polls, and a later poll picks up the answer, so that nothing waits for a broker.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import OffsetSpec

from oms_chassis.messaging.streams import Reached

ANSWER = 5_000  # milliseconds for each answer, after which the request is repeated


class GroupOffsets:
    """Asks how far a consumer's group has got in these topics."""

    def __init__(self, consumer: KafkaConsumer, names: Sequence[str]) -> None:
        self._names = names
        self._asked: Any = None
        self._cluster, self._manager = consumer._cluster, consumer._manager  # noqa: SLF001 - nothing public can ask
        self._coordinator, self._fetcher = consumer._coordinator, consumer._fetcher  # noqa: SLF001 - without waiting

    def reached(self) -> Mapping[TopicPartition, Reached] | None:
        """Return the answer once it has arrived, and None until then; send the request if none is open. Also return
        None if a topic is unknown."""
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
        # In this order, so that no end is older than the offset that was committed.
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
    """Return where the group continues: at the committed offset if it still exists, and otherwise at the first
    record."""
    return committed if committed is not None and first <= committed <= end else first
