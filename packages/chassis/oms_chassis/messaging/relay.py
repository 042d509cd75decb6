"""The relay: sends the events in the outbox to Kafka.

One relay is active per database: it holds an advisory lock, and the relays of the other replicas stand by. It sends a
batch, waits for all acknowledgements, and only then deletes the rows: after a crash in between, events are sent twice,
but none is lost.

An event that cannot be sent does not stop the others. A row that the broker or its client rejects is isolated by
halving its batch, and quarantined. The rows of a topic that is missing, or that this service may not write to, stay in
the outbox, in order, until the topic accepts them; the rows of other topics overtake them.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterable
from itertools import count

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from oms_chassis.db import Database
from oms_chassis.heartbeat import beat
from oms_chassis.messaging import outbox
from oms_chassis.messaging.faults import name
from oms_chassis.messaging.sentrows import SentRows
from oms_chassis.messaging.streams import BATCH, RecordRefused, Sink, StreamUnavailable, TopicRefused
from oms_chassis.pacing import Pace, Reminder
from oms_chassis.statements import Row, Rows, execute
from oms_chassis.telemetry.logs import logger
from oms_chassis.telemetry.metrics import Metrics

log = logger(__name__)

# Seconds after a statement during which we can be sure to hold the lock: the server ends a session only after a silence
# longer than this and the time for sending (process.RELAY_IDLE). A process may be suspended for any time, though.
FRESH = 4.0
IDLE = 0.5  # seconds between two polls: a commit in this process wakes the relay anyway
# Seconds between two polls while other replicas write, too: right after work, and when nothing has come for a while.
QUICK, SHARED = 0.002, 0.1
OTHERS = 60.0  # seconds of faster polling after a row of another replica was found
TOPIC_RETRY = 30.0  # seconds until a refused topic is tried again
_LOCK = 0x6F6D7302


class Relay:
    """Sends the outbox's rows, in order, until it is stopped. Metrics of `topics` start at 0."""

    name = "relay"

    def __init__(self, database: Database, sink: Sink, metrics: Metrics, topics: Iterable[str] = ()) -> None:
        self._database, self._sink, self._metrics = database, sink, metrics
        self._wake = database.signals.event("outbox")
        self._stopping, self._pace, self._reminder = threading.Event(), Pace(), Reminder()
        self._refused: dict[str, float] = {}  # topics, and when to try them again
        self._sent = SentRows()
        self._looked_until = 0  # the id of the last row that was read
        self._is_more = False  # whether more rows can be sent at once
        self._asked = 0.0  # when the last statement that was answered was sent
        self._others_until = float("-inf")
        for topic in topics:
            metrics.relayed.labels(topic)
            metrics.quarantined.labels(topic)

    def run(self) -> None:
        """Wait for the lock and lead; start over whenever the database or the broker becomes unavailable."""
        for attempt in count():
            beat()
            try:
                with self._database.autocommit() as connection:
                    self._lead(connection)
            except (StreamUnavailable, SQLAlchemyError) as error:
                if self._reminder.is_due():
                    why = str(error) if isinstance(error, StreamUnavailable) else name(error)
                    log.warning("relay_interrupted", error=why)
            self._metrics.relay_leader.set(0)
            if self._stopping.wait(min(0.1 * 2 ** min(attempt, 4), 1.0)):
                return

    def stop(self) -> None:
        """Let `run` send the rows that are there, and return."""
        self._stopping.set()
        self._wake.set()

    def _lead(self, connection: Connection) -> None:
        while not execute(connection, "SELECT pg_try_advisory_lock(%(lock)s) AS ours", {"lock": _LOCK})[0].ours:
            beat()
            if self._stopping.wait(0.5):
                return
        try:
            outbox.commit_asynchronously(connection)
            self._sent.begin(connection)
            self._send_all(connection)
        finally:
            _unlock(connection)

    def _send_all(self, connection: Connection) -> None:
        idle, end, is_called = QUICK, None, True
        while True:
            beat()
            self._metrics.relay_leader.set(1)
            began = time.monotonic()
            if end is None and self._stopping.is_set():
                end = outbox.newest(connection)  # later rows are left to the next leader
            self._wake.clear()
            sent = self.send_batch(connection)
            self._reminder.end()
            if end is not None and (not sent or self._looked_until >= end):
                return
            if sent and not is_called:
                self._others_until = time.monotonic() + OTHERS
            is_called = True
            if sent == BATCH:
                continue
            if sent:
                self._stopping.wait(self._pace.pause(began))
            if end is None and not self._is_more:
                idle = QUICK if sent else min(idle * 2, SHARED)
                is_called = self._wake.wait(idle if time.monotonic() < self._others_until else IDLE)

    def send_batch(self, connection: Connection) -> int:
        """Send up to 500 events and delete them, and return how many there were to send."""
        self._sent.forget(connection)
        self._asked = time.monotonic()
        rows = outbox.next_rows(connection, self._refusing(), self._sent.held)
        self._looked_until = rows[-1].id if rows else self._looked_until
        self._is_more = bool(rows) and rows[0].waiting > len(rows)
        try:
            self._send_or_halve(connection, rows)
        except TopicRefused as refusal:
            self._refused[refusal.topic] = time.monotonic() + TOPIC_RETRY
            self._is_more = True
            log.error("topic_refused", topic=refusal.topic, error=refusal.error)
        return len(rows)

    def _refusing(self) -> list[str]:
        now = time.monotonic()
        self._refused = {topic: until for topic, until in self._refused.items() if until > now}
        return list(self._refused)

    def _send_or_halve(self, connection: Connection, rows: Rows) -> None:
        if not rows:
            return
        try:
            self._send(connection, rows)
        except RecordRefused as error:
            if len(rows) == 1:
                self._quarantine(connection, rows[0], str(error))
                return
            middle = len(rows) // 2
            self._send_or_halve(connection, rows[:middle])
            self._send_or_halve(connection, rows[middle:])
        else:
            self._sent.add([row.id for row in rows])
            self._sent.forget(connection)
            for topic, count in Counter(row.topic for row in rows).items():
                self._metrics.relayed.labels(topic).inc(count)

    def _verify_lock(self, connection: Connection) -> None:
        """Make sure that the session still holds the lock, unless that was seen a moment ago: another relay may have
        sent the rows, and later ones, too. Raises SQLAlchemyError if the server has ended the session."""
        while (asked := time.monotonic()) - self._asked > FRESH:
            execute(connection, "SELECT 1", {})
            self._asked = asked

    def _send(self, connection: Connection, rows: Rows) -> None:
        try:
            records = [outbox.outgoing(row) for row in rows]
            self._verify_lock(connection)
            self._sink.send(records)
        except (StreamUnavailable, TopicRefused, RecordRefused, SQLAlchemyError):
            raise
        except (ValueError, TypeError, AssertionError) as error:
            raise RecordRefused(type(error).__name__) from error
        except Exception as error:
            raise StreamUnavailable(type(error).__name__) from error

    def _quarantine(self, connection: Connection, row: Row, error: str) -> None:
        outbox.quarantine(connection, row, error)
        self._metrics.quarantined.labels(row.topic).inc()
        log.error("outbox_row_quarantined", id=row.id, topic=row.topic, error=error)


def _unlock(connection: Connection) -> None:
    # If a pooled connection kept the lock, no relay could lead.
    try:
        execute(connection, "SELECT pg_advisory_unlock(%(lock)s)", {"lock": _LOCK})
    except SQLAlchemyError:  # must not hide the error that ended the leadership
        connection.invalidate()
