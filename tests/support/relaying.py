"""Fills an outbox, and shows what a relay has sent of it."""

from collections.abc import Sequence
from typing import Any

from oms_chassis.db import Database
from oms_chassis.messaging import outbox
from oms_chassis.messaging.relay import Relay
from oms_chassis.messaging.streams import Headers, Outgoing
from support.chassis import MemoryStream


def put(database: Database, *records: Outgoing) -> None:
    """Put records into the outbox."""
    with database.transaction() as transaction:
        outbox.emit_records(transaction, records)


def record(value: bytes | None, key: bytes | None = b"key", topic: str = "topic", headers: Headers = ()) -> Outgoing:
    """Return a record with this value."""
    return Outgoing(topic, key, value, headers)


def send_all(relay: Relay, database: Database) -> None:
    """Let a relay send until nothing is left."""
    with database.autocommit() as connection:
        while relay.send_batch(connection):
            pass


def sent(stream: MemoryStream, topic: str = "topic") -> list[bytes | None]:
    """Return what was sent, without repetitions."""
    return list(dict.fromkeys(one.value for one in stream.records.get(topic, [])))


def quarantined(database: Database) -> list[Any]:
    """Return the rows in quarantine."""
    return list(database.execute("SELECT * FROM outbox_quarantine ORDER BY id"))


def pending(database: Database) -> int:
    """Return how many rows are left in the outbox."""
    return int(database.execute("SELECT count(*) AS n FROM outbox")[0].n)


class Broken(MemoryStream):
    """A client with a fault."""

    error: Exception = LookupError()
    tries = 0

    def send(self, records: Sequence[Outgoing]) -> None:
        self.tries += 1
        if any(one.value == b"bad" for one in records):
            raise self.error
        super().send(records)
