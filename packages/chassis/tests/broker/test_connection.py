"""A broker that cannot be reached."""

import gc
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.broker import TOPIC, source

from oms_chassis.messaging.kafka import KafkaSink, admin, reconcile_topics
from oms_chassis.messaging.kafka import sink as sinks
from oms_chassis.messaging.kafka import source as module
from oms_chassis.messaging.streams import (
    Outgoing,
    StreamUnavailable,
)
from oms_chassis.settings import Settings


def unreachable(_: Settings) -> dict[str, Any]:
    return {"bootstrap_servers": "127.0.0.1:1", "bootstrap_timeout_ms": 500}


def test_a_broker_that_cannot_be_reached_is_reported_as_unavailable(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = settings.model_copy(update={"kafka_bootstrap": "127.0.0.1:1"})
    for where in (admin, sinks, module):
        monkeypatch.setattr(where, "connection", unreachable)
    with pytest.raises(StreamUnavailable):
        reconcile_topics(nowhere)
    with pytest.raises(StreamUnavailable):
        KafkaSink(nowhere).send([Outgoing(TOPIC, b"key", b"value")])
    with pytest.raises(StreamUnavailable):
        source(nowhere, "group")


@pytest.mark.parametrize(
    "connect",
    [
        lambda settings: source(settings, "group"),
        lambda settings: KafkaSink(settings).send([Outgoing(TOPIC, b"key", b"value")]),
        reconcile_topics,
    ],
    ids=["source", "sink", "admin"],
)
def test_a_failed_connection_leaves_no_thread_and_no_descriptor(
    settings: Settings,
    connect: Callable[[Settings], object],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL, "kafka")  # as in a service; what is captured keeps what its arguments refer to
    for where in (admin, sinks, module):
        monkeypatch.setattr(where, "connection", lambda _: {**unreachable(_), "bootstrap_timeout_ms": 50})

    def held() -> tuple[int, int]:
        return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))

    gc.collect()
    before = held()
    gc.disable()
    try:
        for _ in range(20):
            with pytest.raises(StreamUnavailable):
                connect(settings)
        after = held()
    finally:
        gc.enable()
    assert after[0] <= before[0]
    assert after[1] <= before[1] + 3
