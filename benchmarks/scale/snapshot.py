"""Measures the outbox while another transaction stays open, so that rows deleted since then are not vacuumed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from prometheus_client import CollectorRegistry

from benchmarks.scale.figures import Figure, typical
from oms_chassis.db import Database
from oms_chassis.messaging.relay import Relay
from oms_chassis.messaging.streams import Outgoing
from oms_chassis.telemetry.metrics import Metrics

EVENTS, BATCH = 50_000, 100  # sent while the snapshot is open, and in one batch
SLOWER = 2000.0  # percent: it is slower, which is why the alert OmsOldSnapshot exists; this measures by how much
_PUT = """
INSERT INTO outbox (topic, key, value)
SELECT 'orderCreatedEvent', convert_to(n::text, 'UTF8'), convert_to(repeat('x', 1000), 'UTF8')
FROM generate_series(1, %(events)s) AS n
"""


class Nowhere:
    """A broker that acknowledges everything at once."""

    def send(self, records: Sequence[Outgoing]) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def figures(database: Database) -> list[Figure]:
    """Measure how much longer sending events takes with a snapshot that was opened many events ago."""
    send = Sending(database)
    send.all(EVENTS // 4)
    usual = typical(send.batch)
    with open_snapshot(database):
        send.all(EVENTS)
        burdened = typical(send.batch)
    return [
        Figure(f"sending {BATCH} events", usual, 100.0),
        Figure("more of it with a snapshot that is 50,000 events old", (burdened / usual - 1) * 100, SLOWER, "%"),
    ]


class Sending:
    """A relay, and the events that it sends."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._relay = Relay(database, Nowhere(), Metrics(CollectorRegistry()))

    def batch(self) -> None:
        """Put some events into the outbox, and send them."""
        with self._database.autocommit() as connection:
            connection.exec_driver_sql(_PUT, {"events": BATCH})
            self._relay.send_batch(connection)

    def all(self, events: int) -> None:
        """Send this many events, batch by batch."""
        for _ in range(events // BATCH):
            self.batch()


@contextmanager
def open_snapshot(database: Database) -> Iterator[None]:
    """Hold a transaction open that sees the database as it is now, until the end of the block."""
    with database.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        connection.exec_driver_sql("SET idle_in_transaction_session_timeout = 0")
        connection.exec_driver_sql("SELECT count(*) FROM outbox")
        yield
