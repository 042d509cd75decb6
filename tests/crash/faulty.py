"""Runs a service that dies at the worst moment: `python faulty.py SERVICE POINT`.

The service is the product's own, with one of its components replaced:

sent      its relay dies after the broker has acknowledged the events, before they are deleted from the outbox
applied   its consumer dies after the batch is committed to the database, before its offsets are committed to Kafka
"""

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any

from oms_chassis.messaging.kafka import KafkaSink, KafkaSource
from oms_chassis.messaging.streams import Outgoing, Partition
from oms_chassis.runtime.cli import main
from oms_chassis.runtime.service import Service

SPARED = 10  # events before the fatal one: the service dies in the middle of its work, not at the beginning


def die() -> None:
    """End this process as in a crash: without handlers, flushing, or closing connections."""
    os.kill(os.getpid(), signal.SIGKILL)


class DiesAfterSending(KafkaSink):
    """A producer whose process dies before it learns of its success."""

    _sent = 0

    def send(self, records: Sequence[Outgoing]) -> None:
        super().send(records)
        self._sent += len(records)
        if self._sent > SPARED:
            die()


class DiesBeforeCommitting(KafkaSource):
    """A consumer whose process dies before it commits its offsets."""

    _applied = 0

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        self._applied += 1
        if self._applied > 1:
            die()
        super().commit(offsets)


POINTS: Mapping[str, Callable[[Service], Service]] = {
    "sent": lambda service: replace(service, sink=DiesAfterSending),
    "applied": lambda service: replace(service, source=DiesBeforeCommitting),
}


def run(name: str, point: str) -> int:
    """Serve until death."""
    module: Any = import_module(f"oms_{name}.main")
    return main(POINTS[point](module.SERVICE), ["serve"])


if __name__ == "__main__":
    raise SystemExit(run(*sys.argv[1:]))
