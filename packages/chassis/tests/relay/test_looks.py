"""When a relay polls for rows, and how many it reads."""

import pytest
from sqlalchemy import Connection
from support.chassis import MemoryStream, eventually, running
from support.relaying import put, record, sent

from oms_chassis.db import Database
from oms_chassis.messaging import outbox
from oms_chassis.messaging import relay as relays
from oms_chassis.messaging.relay import Relay
from oms_chassis.telemetry.metrics import Metrics


def test_a_batch_is_bounded_by_its_bytes(database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "BATCH_BYTES", 1000)
    put(database, record(b"x" * 2000), *(record(b"%d" % n + b"y" * 399) for n in range(5)))
    with database.autocommit() as connection:
        sizes = []
        while count := Relay(database, MemoryStream(), metrics).send_batch(connection):
            sizes.append(count)
    assert sizes == [1, 2, 2, 1]


def test_a_service_counts_its_topics_from_the_start(database: Database, metrics: Metrics) -> None:
    Relay(database, MemoryStream(), metrics, ["one", "other"])
    for name in ("oms_relay_events_total", "oms_outbox_quarantined_total"):
        assert [metrics.registry.get_sample_value(name, {"topic": topic}) for topic in ("one", "other")] == [0.0, 0.0]


class Watched(Relay):
    """A relay that counts how often it polls the outbox."""

    looks = 0

    def send_batch(self, connection: Connection) -> int:
        found = super().send_batch(connection)
        self.looks += 1
        return found


def test_a_relay_is_woken_by_a_commit_of_its_own_process(
    database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relays, "IDLE", 600.0)
    stream = MemoryStream()
    relay = Watched(database, stream, metrics)
    with running(relay):
        eventually(lambda: relay.looks > 0)
        put(database, record(b"first"))
        eventually(lambda: sent(stream) == [b"first"])
        put(database, record(b"second"))
        eventually(lambda: sent(stream) == [b"first", b"second"])


def test_the_relay_polls_again_at_once_only_if_it_could_not_send_everything(
    database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relays, "IDLE", 600.0)
    monkeypatch.setattr(outbox, "BATCH_BYTES", 1000)
    stream = MemoryStream()
    stream.missing.add("gone")
    relay = Watched(database, stream, metrics)
    with running(relay):
        eventually(lambda: relay.looks == 1)
        put(database, record(b"alone"))
        eventually(lambda: sent(stream) == [b"alone"])
        put(database, *(record(b"%d" % n + b"y" * 399) for n in range(5)))
        eventually(lambda: len(sent(stream)) == 6)
        eventually(lambda: relay.looks == 5)
        put(database, record(b"kept", topic="gone"), record(b"last"))
        eventually(lambda: sent(stream)[-1] == b"last")
        eventually(lambda: relay.looks == 7)


def test_once_another_replica_has_written_its_rows_are_looked_for_more_often(
    database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relays, "IDLE", 0.05)
    stream = MemoryStream()
    other = Database(database._url, 1)
    relay = Watched(database, stream, metrics)
    try:
        with running(relay):
            eventually(lambda: relay.looks > 2)
            put(other, record(b"first"))
            eventually(lambda: sent(stream) == [b"first"])
            monkeypatch.setattr(relays, "IDLE", 600.0)
            put(other, record(b"second"))
            eventually(lambda: sent(stream) == [b"first", b"second"])
    finally:
        other.dispose()
