"""Rows and topics that cannot be sent do not stop the others."""

import pytest
from support.chassis import MemoryStream
from support.relaying import Broken, pending, put, quarantined, record, send_all, sent

from oms_chassis.db import Database
from oms_chassis.messaging import outbox
from oms_chassis.messaging.relay import Relay
from oms_chassis.messaging.streams import Outgoing
from oms_chassis.telemetry.metrics import Metrics


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (record(None, None), "ValueError"),
        (record(b"x", headers=[("name", None)]), "TypeError"),
        (record(b"x" * 3000), "MessageSizeTooLargeError"),
    ],
)
def test_a_row_that_cannot_be_sent_goes_into_quarantine_and_the_rest_is_sent(
    database: Database, metrics: Metrics, bad: Outgoing, error: str
) -> None:
    stream, good = MemoryStream(), [record(str(number).encode()) for number in range(9)]
    stream.limit = 2000
    put(database, *good[:4], bad, *good[4:])
    send_all(Relay(database, stream, metrics), database)
    assert sent(stream) == [one.value for one in good]
    assert pending(database) == 0
    (row,) = quarantined(database)
    assert (row.topic, row.error, outbox.outgoing(row)) == (
        "topic",
        error,
        Outgoing("topic", bad.key, bad.value, [*bad.headers]),
    )
    assert row.created_at <= row.quarantined_at
    assert metrics.quarantined.labels("topic")._value.get() == 1
    assert metrics.relayed.labels("topic")._value.get() == 9


def test_a_quarantined_row_can_be_put_back(database: Database, metrics: Metrics) -> None:
    stream = MemoryStream()
    stream.limit = 10
    put(database, record(b"x" * 20), record(b"y"))
    relay = Relay(database, stream, metrics)
    send_all(relay, database)
    stream.limit = 100
    with database.transaction() as transaction:
        assert outbox.requeue(transaction, [row.id for row in quarantined(database)]) == 1
    send_all(relay, database)
    assert sent(stream) == [b"y", b"x" * 20]
    assert quarantined(database) == []


def test_a_topic_that_is_missing_keeps_its_rows_in_order_and_stops_no_other(
    database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = MemoryStream()
    stream.missing = {"missing"}
    relay = Relay(database, stream, metrics)
    put(database, *(record(b"%d" % n, topic="missing" if n % 2 else "topic") for n in range(10)))
    send_all(relay, database)
    assert sent(stream) == [b"0", b"2", b"4", b"6", b"8"]
    assert (pending(database), quarantined(database)) == (5, [])
    stream.missing = set()
    monkeypatch.setattr(relay, "_refused", {"missing": 0.0})
    send_all(relay, database)
    assert sent(stream, "missing") == [b"1", b"3", b"5", b"7", b"9"]


@pytest.mark.parametrize(
    "error", [ValueError(), TypeError(), AssertionError(), UnicodeEncodeError("utf-8", "", 0, 1, "")]
)
def test_an_error_about_the_arguments_is_the_rows_fault(database: Database, metrics: Metrics, error: Exception) -> None:
    stream = Broken()
    stream.error = error
    put(database, record(b"a"), record(b"bad"), record(b"b"))
    send_all(Relay(database, stream, metrics), database)
    assert sent(stream) == [b"a", b"b"]
    assert [row.error for row in quarantined(database)] == [type(error).__name__]
