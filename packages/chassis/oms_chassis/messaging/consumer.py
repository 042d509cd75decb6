"""The consumer: reads a service's topics as one group, and commits offsets after processing.

While the database is unavailable, the records are read again. While no event can be applied at all (`faults`), the
consumer pauses and makes no dead letters, so that everything is applied once the cause is repaired. A silent broker
counts as unavailable: the consumer reports it, and finally reconnects.
"""

import time
from collections.abc import Callable, Iterable, Sequence

from sqlalchemy.exc import SQLAlchemyError

from oms_chassis.db import Database
from oms_chassis.heartbeat import beat
from oms_chassis.messaging import inbox
from oms_chassis.messaging.faults import is_systemic, name
from oms_chassis.messaging.processing import Processor
from oms_chassis.messaging.progress import Progress
from oms_chassis.messaging.streams import BATCH, Record, Source, StreamUnavailable
from oms_chassis.messaging.subscription import Deduplicate, Subscription
from oms_chassis.messaging.trouble import Trouble
from oms_chassis.messaging.turn import Turn
from oms_chassis.pacing import Pace, Reminder
from oms_chassis.telemetry.logs import logger
from oms_chassis.telemetry.metrics import Metrics

log = logger(__name__)

POLL = 0.5  # seconds: kafka-python cannot be woken, so this limits how long a stop takes
SILENT = 10.0  # seconds without an answer after which the brokers count as unavailable: as a group waits for a member
# Seconds of silence after which the consumer starts over; until then, the client reconnects by itself.
LOST = 30.0
RECONNECT = (0.5, 1.0, 2.0, 4.0)  # seconds before each further attempt to connect; the last value repeats
PAUSES = (0.5, 1.0, 2.0, 5.0)  # seconds before each further attempt during a systemic fault; the last value repeats
OBSERVE = 2.0  # seconds between measurements of the lag


class Consumer:
    """Reads a service's topics as one group until it is stopped."""

    name = "consumer"

    def __init__(
        self,
        service: str,
        database: Database,
        subscriptions: Iterable[Subscription],
        connect: Callable[[], Source],
        metrics: Metrics,
        deduplicate: Deduplicate = inbox.deduplicate,
    ) -> None:
        self._connect, self._metrics = connect, metrics
        self._processor = Processor(service, database, subscriptions, metrics, deduplicate)
        self._stopping, self._pace, self._reminder = self._processor.stopping, Pace(), Reminder()
        self._observed = 0.0
        self._failures = 0  # failed connections since a broker last answered
        self._away = set[str]()  # the reasons why the broker is unavailable that were logged
        self._pauses = 0  # consecutive ones
        self._progress, self._trouble = Progress(), Trouble(metrics)
        self.is_ready = False
        metrics.last_poll.set(time.time())

    def run(self) -> None:
        """Consume; reconnect whenever the broker fails or becomes unavailable."""
        while not self._stopping.is_set():
            beat()
            try:
                self._consume()
            except StreamUnavailable as error:
                self._wait_for_broker(error)

    def stop(self) -> None:
        """Let `run` finish the current batch, and return."""
        self._stopping.set()

    def kept_up(self) -> float:
        """Return for how many seconds no record has waited to be applied by the group; 0 if that is not known."""
        return self._progress.kept_up()

    def work(self, records: Sequence[Record]) -> None:
        """Apply records. Raises SQLAlchemyError if the database is unavailable; they must all be read again then."""
        self._processor.work(Turn(records))

    def _wait_for_broker(self, error: StreamUnavailable) -> None:
        self._log_away(error)
        pause = RECONNECT[min(self._failures, len(RECONNECT) - 1)]
        self._failures += 1
        self._stopping.wait(pause)

    def _log_away(self, error: StreamUnavailable) -> None:
        if str(error) not in self._away:
            log.warning("consumer_without_broker", error=str(error))
        self._away.add(str(error))

    def _consume(self) -> None:
        source = self._connect()
        self._progress.fall_behind()
        try:
            while not self._stopping.is_set():
                beat()
                records = source.poll(POLL)
                self._observe(source)
                if records:
                    self._take_turn(source, Turn(records))
        finally:
            self._metrics.consumer_running.set(0)
            self._metrics.lag.clear()
            self._trouble.end()
            source.close()

    def _take_turn(self, source: Source, turn: Turn) -> None:
        began = time.monotonic()
        try:
            with self._metrics.batches.time():
                self._processor.work(turn)
        except Exception as error:
            if not (isinstance(error, SQLAlchemyError) or is_systemic(error)):
                raise
            turn.settle(source)
            self._progress.fall_behind()
            self._wait_for_repair(error, len(turn.records))
            return
        self._resume()
        turn.settle(source)
        if len(turn.records) < BATCH:
            self._stopping.wait(self._pace.pause(began))
        else:
            self._progress.fall_behind()

    def _wait_for_repair(self, error: Exception, records: int) -> None:
        if not is_systemic(error):
            if self._reminder.is_due():
                log.warning("database_unavailable", error=name(error), records=records)
            self._stopping.wait(0.5)
            return
        if not self._pauses:
            log.error("consumer_paused", error=name(error))
        self._metrics.consumer_paused.set(1)
        pause = PAUSES[min(self._pauses, len(PAUSES) - 1)]
        self._pauses += 1
        self._stopping.wait(pause)

    def _resume(self) -> None:
        if self._pauses:
            log.info("consumer_resumed")
        self._metrics.consumer_paused.set(0)
        self._pauses = 0
        self._reminder.end()

    def _observe(self, source: Source) -> None:
        silence = source.silence()
        self._metrics.last_poll.set(time.time() - silence)
        if silence > SILENT:
            self._note_silence(silence)
            return
        self._assigned(source.is_assigned())
        self._trouble.report(source)
        self._progress.look(source)
        if time.monotonic() - self._observed < OBSERVE:
            return
        self._observed = time.monotonic()
        self._metrics.lag.clear()  # partitions that were reassigned are reported by another replica
        lags = source.lag()
        for (topic, partition), lag in lags.items():
            self._metrics.lag.labels(topic, str(partition)).set(lag)
        if sum(lags.values()) >= BATCH:
            self._progress.fall_behind()

    def _note_silence(self, silence: float) -> None:
        error = StreamUnavailable("no broker answers")
        self._log_away(error)
        self._assigned(yes=False)
        self._metrics.lag.clear()
        if silence > LOST:
            raise error

    def _assigned(self, yes: bool) -> None:
        # Ready means that the group has once accepted this consumer: Kafka's own state is no part of readiness.
        self.is_ready = self.is_ready or yes
        self._metrics.consumer_running.set(yes)
        if not yes:
            self._progress.fall_behind()
        if yes and self._away:
            log.info("consumer_with_broker")
            self._away, self._failures = set(), 0
