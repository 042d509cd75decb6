"""The outbox and its relay."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
from support.chassis import MemoryStream, eventually

from oms_chassis.db import Database
from oms_chassis.messaging import outbox
from oms_chassis.messaging.relay import Relay
from oms_chassis.messaging.streams import Outgoing
from oms_chassis.telemetry.metrics import Metrics


@contextmanager
def running(relay: Relay) -> Iterator[Callable[[], None]]:
    thread = threading.Thread(target=relay.run)
    thread.start()

    def stop() -> None:
        relay.stop()
        thread.join(10)
        assert not thread.is_alive()

    try:
        yield stop
    finally:
        stop()


def _put(database: Database, *values: str) -> None:
    with database.transaction() as transaction:
        outbox.emit_records(transaction, [Outgoing("topic", b"key", value.encode()) for value in values])


def _sent(stream: MemoryStream) -> list[bytes | None]:
    return [record.value for record in stream.records.get("topic", [])]


def _pending(database: Database) -> int:
    return int(database.execute("SELECT count(*) AS n FROM outbox")[0].n)


def test_events_are_sent_in_order_and_then_deleted(database: Database, metrics: Metrics) -> None:
    stream = MemoryStream()
    _put(database, *(str(number) for number in range(1200)))
    with running(Relay(database, stream, metrics)):
        eventually(lambda: _pending(database) == 0)
    assert _sent(stream) == [str(number).encode() for number in range(1200)]


def test_an_event_of_a_transaction_that_failed_is_never_sent(database: Database, metrics: Metrics) -> None:
    def fail() -> None:
        with database.transaction() as transaction:
            outbox.emit_records(transaction, [Outgoing("topic", b"key", b"never")])
            raise LookupError

    stream = MemoryStream()
    with running(Relay(database, stream, metrics)):
        with pytest.raises(LookupError):
            fail()
        _put(database, "this one")
        eventually(lambda: _sent(stream) == [b"this one"])


def test_events_that_were_not_acknowledged_stay_and_are_sent_again(database: Database, metrics: Metrics) -> None:
    stream = MemoryStream()
    stream.failures = 2
    _put(database, "a", "b")
    with running(Relay(database, stream, metrics)):
        eventually(lambda: _pending(database) == 0)
    assert _sent(stream) == [b"a", b"b"]


def test_one_relay_sends_and_another_takes_over(database: Database, metrics: Metrics) -> None:
    first, second = MemoryStream(), MemoryStream()
    other = Database(database._url, 2)
    with running(Relay(database, first, metrics)) as stop_first:
        _put(database, "one")
        eventually(lambda: _sent(first) == [b"one"])
        with running(Relay(other, second, metrics)):
            _put(database, "two")
            eventually(lambda: _sent(first) == [b"one", b"two"])
            assert _sent(second) == []
            stop_first()
            _put(database, "three")
            eventually(lambda: _sent(second) == [b"three"])
    other.dispose()


def test_a_relay_whose_connection_was_cut_continues(database: Database, metrics: Metrics) -> None:
    stream = MemoryStream()
    with running(Relay(database, stream, metrics)):
        _put(database, "before")
        eventually(lambda: _sent(stream) == [b"before"])
        database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        _put(database, "after")
        eventually(lambda: _sent(stream)[-1] == b"after")


def test_stopping_sends_the_remaining_events(database: Database, metrics: Metrics) -> None:
    stream = MemoryStream()
    _put(database, "last")
    relay = Relay(database, stream, metrics)
    relay.stop()
    relay.run()
    assert _sent(stream) == [b"last"]


def test_stopping_does_not_wait_for_events_that_others_keep_adding(database: Database, metrics: Metrics) -> None:
    """Later events are left to the next leader: otherwise, a stopping relay would be held up for ever."""

    class Busy(MemoryStream):
        """A sink during whose sending another replica accepts an order."""

        def send(self, records: Sequence[Outgoing]) -> None:
            super().send(records)
            _put(database, "of another replica")

    stream = Busy()
    _put(database, "before")
    relay = Relay(database, stream, metrics)
    relay.stop()
    leading = threading.Thread(target=relay.run, daemon=True)
    leading.start()
    leading.join(10)
    is_over = not leading.is_alive()
    stream.limit = -1  # it ends in any case: nothing is taken any more
    assert is_over
    assert _sent(stream) == [b"before"]


def test_a_raw_record_keeps_its_bytes_its_headers_and_its_missing_key(database: Database, metrics: Metrics) -> None:
    stream = MemoryStream()
    with database.transaction() as transaction:
        outbox.emit_records(transaction, [Outgoing("topic", None, b"\x00\xff", [("name", b"\xfe")])])
    with running(Relay(database, stream, metrics)):
        eventually(lambda: _pending(database) == 0)
    record = stream.records["topic"][0]
    assert (record.key, record.value, list(record.headers)) == (None, b"\x00\xff", [("name", b"\xfe")])


def test_an_insertion_can_be_part_of_a_larger_statement(database: Database, metrics: Metrics) -> None:
    stream = MemoryStream()
    rows = "(VALUES (1, 'first'), (2, 'second')) AS row(id, text)"
    insertion = outbox.insertion("%(topic)s::text", "id::text", "text", f"{rows} ORDER BY id")
    with running(Relay(database, stream, metrics)):
        database.execute(f"WITH put AS ({insertion}) SELECT 1", topic="topic")
        outbox.notify(database)
        eventually(lambda: _pending(database) == 0)
    assert [(record.key, record.value) for record in stream.records["topic"]] == [(b"1", b"first"), (b"2", b"second")]


def test_waiting_events_are_counted_up_to_a_limit_and_their_keys_are_known(database: Database) -> None:
    assert outbox.pending(database, 5) == 0
    _put(database, "one", "two", "three")
    assert (outbox.pending(database, 2), outbox.pending(database, 5)) == (2, 3)
    assert {row.key for row in database.execute(outbox.UNSENT_KEYS)} == {b"key"}
