"""Follows a member's positions in its partitions where they differ from the records that it is given: where they pass
offsets without records, and where the next records are gone."""

from collections.abc import Mapping, Sequence
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from oms_chassis.messaging.streams import Gap


class Positions:
    """Follows a consumer of these topics. It hooks into the steps by which the library changes a position, which it
    does silently."""

    def __init__(self, consumer: KafkaConsumer, names: Sequence[str]) -> None:
        self._cluster = consumer._cluster  # noqa: SLF001 - there is no public access to a topic's id
        self._ids = dict[str, Any].fromkeys(names)
        self._subscription = consumer._subscription  # noqa: SLF001 - there is no public access without waiting
        self._request = self._subscription.request_offset_reset
        self._subscription.request_offset_reset = self._on_request
        fetcher = consumer._fetcher  # noqa: SLF001 - there is no public hook for a reset
        self._reset = fetcher._reset_offset_if_needed  # noqa: SLF001 - the same
        fetcher._reset_offset_if_needed = self._on_reset  # noqa: SLF001 - the same
        self._noted: dict[TopicPartition, int] = {}
        self._left: dict[TopicPartition, int] = {}
        self._gaps: list[tuple[TopicPartition, Gap]] = []

    def note(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Note that the member was given the records before these offsets."""
        self._noted |= offsets

    def passed(self) -> Mapping[TopicPartition, int]:
        """Return the positions that moved without a record: beyond markers of transactions, and records that compaction
        removed."""
        now = {
            where: state.position.offset
            for where, state in list(self._subscription.assignment.items())
            if state.position is not None
        }
        passed = {where: offset for where, offset in now.items() if self._noted.get(where, offset) != offset}
        self.note(now)
        return passed

    def gaps(self) -> Sequence[tuple[TopicPartition, Gap]]:
        """Return the gaps that were found since the last call."""
        gaps, self._gaps = self._gaps, []
        return gaps

    def recreated(self) -> set[str]:
        """Return the topics that were deleted and recreated since the last call. They are read from their beginning
        from now on: the library would continue at its offset in the old topic, and miss what is before."""
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
        # A group without a committed offset, which a broker forgets after a week without members, would silently begin
        # with the records that are left.
        self._noted[where] = left = self._left.pop(where, 0)
        self._add_gap(where, left, offset)

    def _add_gap(self, where: TopicPartition, first: int, beyond: int) -> None:
        if first != beyond:
            self._gaps.append((where, Gap(first, beyond)))
