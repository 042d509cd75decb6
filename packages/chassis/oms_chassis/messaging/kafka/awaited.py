"""Counts the records that a group has not processed. A member knows only about its own partitions."""

from collections.abc import Iterable
from datetime import datetime

from oms_chassis.messaging.kafka.connection import unavailable_on_error
from oms_chassis.messaging.kafka.groupoffsets import begun
from oms_chassis.messaging.kafka.rewinding import nobody, partitions_of
from oms_chassis.settings import Settings

TIMEOUT = 5_000  # milliseconds for an answer of the broker


def awaited(settings: Settings, group: str, names: Iterable[str], until: datetime) -> dict[str, int]:
    """Return how many records of each topic arrived before a time and were not processed by the group, leaving out
    topics without any. Raises StreamUnavailable without a broker."""
    found = dict[str, int]()
    with unavailable_on_error(), nobody(settings, group) as consumer:
        for name in names:
            partitions = partitions_of(consumer, f"{settings.kafka_prefix}{name}")
            # In this order, so that no end is older than the offset that was committed.
            done = {where: consumer.committed(where, timeout_ms=TIMEOUT) for where in partitions}
            ends = consumer.end_offsets(partitions, timeout_ms=TIMEOUT)
            firsts = consumer.beginning_offsets(partitions, timeout_ms=TIMEOUT)
            times = dict.fromkeys(partitions, int(until.timestamp() * 1000))
            later = consumer.offsets_for_times(times, timeout_ms=TIMEOUT)
            for where, end in ends.items():
                beyond = later[where].offset if later[where] is not None else end
                waiting = beyond - begun(done[where], firsts[where], end)
                found[name] = found.get(name, 0) + max(0, waiting)
    return {name: count for name, count in found.items() if count}
