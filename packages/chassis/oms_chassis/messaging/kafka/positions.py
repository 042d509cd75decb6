"""A member's positions in its partitions, apart from the records that it is given: what they pass without any, and
where they cannot go on, because what comes next is gone."""

from collections.abc import Mapping, Sequence
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from oms_chassis.messaging.streams import Gap


class Positions:
    """Follows a consumer of these topics. It hooks into the steps by which the library goes on elsewhere, which it does
    without a word."""

    def __init__(self, consumer: KafkaConsumer, names: Sequence[str]) -> None:
        self._cluster = consumer._cluster  # noqa: SLF001 - nothing public says which topic of a name it is
        self._ids = dict[str, Any].fromkeys(names)
        self._subscription = consumer._subscription  # noqa: SLF001 - nothing public says where it is without waiting
        self._request = self._subscription.request_offset_reset
        self._subscription.request_offset_reset = self._on_request
        fetcher = consumer._fetcher  # noqa: SLF001 - nothing public says where it goes on
        self._reset = fetcher._reset_offset_if_needed  # noqa: SLF001 - the same
        fetcher._reset_offset_if_needed = self._on_reset  # noqa: SLF001 - the same
        self._noted: dict[TopicPartition, int] = {}
        self._left: dict[TopicPartition, int] = {}
        self._gaps: list[tuple[TopicPartition, Gap]] = []

    def note(self, offsets: Mapping[TopicPartition, int]) -> None:
        """It was given the records before these."""
        self._noted |= offsets

    def passed(self) -> Mapping[TopicPartition, int]:
        """Where it has got without being given a record, since it has the partition: beyond the marks of transactions,
        and what compaction has emptied."""
        now = {
            where: state.position.offset
            for where, state in list(self._subscription.assignment.items())
            if state.position is not None
        }
        passed = {where: offset for where, offset in now.items() if self._noted.get(where, offset) != offset}
        self.note(now)
        return passed

    def gaps(self) -> Sequence[tuple[TopicPartition, Gap]]:
        """Where what came next was gone, since this was last asked."""
        gaps, self._gaps = self._gaps, []
        return gaps

    def recreated(self) -> set[str]:
        """The topics that were deleted and created again since this was last asked. From now on they are read from
        their beginning: the library goes on at the offset where it was in the old one, and passes what is before."""
        return {name for name in self._ids if self._is_another(name)}

    def _is_another(self, name: str) -> bool:
        if not self._cluster.partitions_for_topic(name):
            return False
        before, self._ids[name] = self._ids[name], self._cluster.topic_id(name)
        if before in (None, self._ids[name]):
            return False
        for where in [one for one in list(self._noted) if one.topic == name]:
            self._add_gap(where, self._noted.pop(where), 0)
        for where in [one for one in list(self._subscription.assignment) if one.topic == name]:
            self._request(where)
        return True

    def _on_request(self, where: TopicPartition, strategy: Any = None) -> None:
        if (position := self._subscription.assignment[where].position) is not None:
            self._left[where] = position.offset
        self._request(where, strategy)

    def _on_reset(self, where: TopicPartition, timestamp: Any, offset: int) -> None:
        self._reset(where, timestamp, offset)
        # A group without a place, which a broker forgets after a week without members, would begin with all there was.
        self._noted[where] = left = self._left.pop(where, 0)
        self._add_gap(where, left, offset)

    def _add_gap(self, where: TopicPartition, first: int, beyond: int) -> None:
        if first != beyond:
            self._gaps.append((where, Gap(first, beyond)))
