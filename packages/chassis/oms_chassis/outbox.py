"""The transactional outbox (microservices.io/patterns/data/transactional-outbox) and its relay.

One relay sends per database: it holds a session's advisory lock, and the relays of other replicas stand by. It sends,
waits for every acknowledgement, and only then deletes: a crash in between sends twice, and never not at all.
"""

import base64
import threading
import time
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any

from sqlalchemy import Connection, Row
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from oms_chassis import pacing
from oms_chassis.db import Database, Rows, Transaction, execute
from oms_chassis.logs import logger
from oms_chassis.metrics import Metrics
from oms_chassis.streams import BATCH, Outgoing, Sink, StreamUnavailable
from oms_chassis.threads import turned

log = logger(__name__)

QUICK, IDLE = 0.002, 0.1  # seconds between looks: right after work, and when nothing has come for a while
_LOCK = 0x6F6D7302

_PUT = """
INSERT INTO outbox (topic, key, value)
SELECT topic, convert_to(key, 'UTF8'), convert_to(value, 'UTF8')
FROM json_to_recordset(%(rows)s::json) AS r(topic text, key text, value text)
"""
_PUT_RAW = """
INSERT INTO outbox (topic, key, value, headers)
SELECT topic, decode(key, 'base64'), decode(value, 'base64'), headers
FROM json_to_recordset(%(rows)s::json) AS r(topic text, key text, value text, headers jsonb)
"""


def put(transaction: Transaction, messages: Iterable[tuple[str, str, str]]) -> None:
    """Put (topic, key, value) messages into the outbox."""
    rows = [{"topic": topic, "key": key, "value": value} for topic, key, value in messages]
    if rows:
        transaction.run_rows(_PUT, rows)
        transaction.wakes.add("outbox")


def put_raw(transaction: Transaction, records: Sequence[Outgoing]) -> None:
    """Put records into the outbox byte for byte."""
    rows = [
        {
            "topic": record.topic,
            "key": _base64(record.key),
            "value": _base64(record.value),
            "headers": [[name, _base64(value)] for name, value in record.headers],
        }
        for record in records
    ]
    transaction.run_rows(_PUT_RAW, rows)
    transaction.wakes.add("outbox")


def _base64(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def _outgoing(row: Row[Any]) -> Outgoing:
    headers = [(name, base64.b64decode(value)) for name, value in row.headers or ()]
    return Outgoing(
        row.topic, None if row.key is None else bytes(row.key), None if row.value is None else bytes(row.value), headers
    )


class Relay:
    """Sends what stands in the outbox, in order, until it is stopped."""

    def __init__(self, database: Database, sink: Sink, metrics: Metrics) -> None:
        self._database, self._sink, self._metrics = database, sink, metrics
        self._wake = database.wakes.of("outbox")
        self._stopping = threading.Event()

    def run(self) -> None:
        """Lead while the lock can be had; start over whenever the database or the broker goes away."""
        for attempt in count():
            turned()
            try:
                with self._database.connection() as connection:
                    self._lead(connection)
            except (StreamUnavailable, DBAPIError, SQLAlchemyError) as error:
                log.warning("relay_interrupted", error=type(error).__name__)
            self._metrics.relay_leader.set(0)
            if self._stopping.wait(min(0.1 * 2 ** min(attempt, 4), 1.0)):
                return

    def stop(self) -> None:
        """Send what is there once more, then return from run."""
        self._stopping.set()
        self._wake.set()

    def _lead(self, connection: Connection) -> None:
        while not execute(connection, "SELECT pg_try_advisory_lock(%(lock)s) AS ours", {"lock": _LOCK})[0].ours:
            turned()
            if self._stopping.wait(0.5):
                return
        self._metrics.relay_leader.set(1)
        try:
            self._send_all(connection)
        finally:
            _unlock(connection)

    def _send_all(self, connection: Connection) -> None:
        idle = QUICK
        while True:
            turned()
            last, began = self._stopping.is_set(), time.monotonic()
            self._wake.clear()
            sent = self.send_batch(connection)
            if sent == BATCH:
                continue
            if last and not sent:
                return
            if sent:
                idle = QUICK
                self._stopping.wait(pacing.pause(time.monotonic() - began))
            else:
                idle = min(idle * 2, IDLE)
                self._wake.wait(idle)

    def send_batch(self, connection: Connection) -> int:
        """Send up to 500 events and delete them; how many there were."""
        rows: Rows = execute(
            connection,
            "SELECT id, topic, key, value, headers FROM outbox ORDER BY id LIMIT %(batch)s",
            {"batch": BATCH},
        )
        if not rows:
            return 0
        self._sink.send([_outgoing(row) for row in rows])
        execute(connection, "DELETE FROM outbox WHERE id = ANY(%(ids)s)", {"ids": [row.id for row in rows]})
        for row in rows:
            self._metrics.relayed.labels(row.topic).inc()
        return len(rows)


def _unlock(connection: Connection) -> None:
    # A pooled connection that kept the lock would keep every relay from leading.
    try:
        execute(connection, "SELECT pg_advisory_unlock(%(lock)s)", {"lock": _LOCK})
    except DBAPIError:
        connection.invalidate()
