"""What a group has not read, of which a member knows only what its own partitions hold."""

from collections.abc import Iterable
from datetime import datetime

from oms_chassis.messaging.kafka.connection import unavailable_on_error
from oms_chassis.messaging.kafka.groupoffsets import begun
from oms_chassis.messaging.kafka.rewinding import nobody, partitions_of
from oms_chassis.settings import Settings

TIMEOUT = 5_000  # milliseconds for an answer of the broker


def awaited(settings: Settings, group: str, names: Iterable[str], until: datetime) -> dict[str, int]:
    """How many records of each topic came before a time, and were not processed by any member of the group; topics of
    which there are none are left out. StreamUnavailable without a broker."""
    found = dict[str, int]()
    with unavailable_on_error(), nobody(settings, group) as consumer:
        for name in names:
            partitions = partitions_of(consumer, f"{settings.kafka_prefix}{name}")
            # In this order, so that no end is before what was read of it.
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
