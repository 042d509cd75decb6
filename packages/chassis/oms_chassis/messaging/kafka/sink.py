"""An idempotent producer whose errors say whether a broker, a topic or a record is to blame."""

import contextlib
import time
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError, UnknownTopicOrPartitionError

from oms_chassis.messaging.kafka.connection import closed_on_error, connection
from oms_chassis.messaging.kafka.partitioning import KeyPartitioner
from oms_chassis.messaging.kafka.verdicts import raise_gravest, verdict
from oms_chassis.messaging.streams import LETTER_LIMIT, Outgoing, RecordRefused, StreamUnavailable, TopicRefused
from oms_chassis.settings import Settings

SEND_TIMEOUT = 15.0  # seconds until a batch that no broker has acknowledged counts as not sent
# Seconds without an acknowledgement until a request is repeated on another connection; the second value applies after a
# batch that was not sent in time, because the brokers or the network may be slow.
ACKNOWLEDGE, ACKNOWLEDGE_SLOWLY = 5.0, 10.0
# `flush` ends the lingering. Without it, a batch would be sent in pieces, each of which wakes the sender's thread, and
# the broker would answer many requests instead of one.
LINGER_MS = 50
FLUSH = 0.5  # seconds between two looks at the outcome of a batch
FIND_TIMEOUT = 5.0  # seconds until a topic that no broker knows counts as missing
# seconds since its last answer for which a broker counts as available: while a topic is looked for, it is asked every
# 0.1 s
LATELY = 1.0


class KafkaSink:
    """An idempotent producer that connects on its first use."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer: KafkaProducer | None = None
        self._until = 0.0  # until when the current batch may be sent
        self._acknowledge = ACKNOWLEDGE
        self._refusal = ""  # for which a part was last sent again

    def send(self, records: Sequence[Outgoing]) -> None:
        began, self._refusal = time.monotonic(), ""
        try:
            self._send(self._connected(), records)
        except (RecordRefused, TopicRefused):
            raise
        except Exception as error:
            # Records left in the old producer's buffers would be sent out of order, so use a new one.
            self._start_over(ACKNOWLEDGE_SLOWLY)
            raise StreamUnavailable(self._why(error)) from error
        if self._acknowledge > ACKNOWLEDGE > time.monotonic() - began:
            self._start_over(ACKNOWLEDGE)

    def _why(self, error: Exception) -> str:
        name = str(error) if isinstance(error, StreamUnavailable) else type(error).__name__
        # That the time is over is not why, if it was refused before.
        return (name == KafkaTimeoutError.__name__ and self._refusal) or name

    def _start_over(self, acknowledge: float) -> None:
        self.close()
        self._acknowledge = acknowledge

    def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            # Unsent records must not be sent any more. The client would wait for them, give up, and keep trying in a
            # thread that nobody can reach.
            producer._sender.force_close()  # noqa: SLF001 - there is no public one
            with contextlib.suppress(KafkaError, OSError):
                producer.close(timeout=1)

    def _send(self, producer: KafkaProducer, records: Sequence[Outgoing]) -> None:
        self._until = time.monotonic() + FIND_TIMEOUT + SEND_TIMEOUT
        for topic in {record.topic for record in records}:
            _find(producer, self._settings.kafka_prefix, topic)
        attempts = [_attempt(producer, self._settings.kafka_prefix, record) for record in records]
        _flush(producer, attempts)
        outcomes = [_outcome(attempt) for attempt in attempts]
        if any(outcome is not attempt for attempt, outcome in zip(attempts, outcomes, strict=True) if outcome):
            self.close()  # after a refusal, the sequence number that the broker expects next is uncertain
        raise_gravest([verdict(r.topic, error) for r, error in zip(records, outcomes, strict=True) if error])

    def _send_nothing_late(self, producer: KafkaProducer) -> None:
        """Keep a producer from sending a batch whose time is over, such as after the process was suspended: another
        relay may meanwhile have sent the same records, and later ones. kafka-python 3.0.12 reports such a batch as
        failed, but sends it."""
        sender, limit = producer._sender, producer.config["delivery_timeout_ms"]  # noqa: SLF001 - there is no public one
        usual = sender._create_produce_requests  # noqa: SLF001 - the same

        def in_time(collated: dict[Any, list[Any]]) -> Any:
            if time.monotonic() > self._until:
                for batch in chain.from_iterable(collated.values()):
                    batch.created = 0.0  # the client gives it up in its next round
            for batches in collated.values():
                batches[:] = [batch for batch in batches if not batch.has_reached_delivery_timeout(limit)]
            return usual(collated)

        sender._create_produce_requests = in_time  # noqa: SLF001 - the same

    def _note_refusals(self, producer: KafkaProducer) -> None:
        usual = producer._sender._can_retry  # noqa: SLF001 - the same

        def noting(batch: Any, error: type[Exception]) -> Any:
            if may_retry := usual(batch, error):
                self._refusal = error.__name__
            return may_retry

        producer._sender._can_retry = noting  # noqa: SLF001 - the same

    def _connected(self) -> KafkaProducer:
        if self._producer is None:
            with closed_on_error() as client:
                self._producer = self._connect(client)
            self._send_nothing_late(self._producer)
            self._note_refusals(self._producer)
            _split_nothing(self._producer)
        return self._producer

    def _connect(self, client: Callable[..., Any]) -> KafkaProducer:
        return KafkaProducer(
            **connection(self._settings),
            kafka_client=client,
            acks="all",
            enable_idempotence=True,
            partitioner=KeyPartitioner(),
            linger_ms=LINGER_MS,
            batch_size=256 * 1024,
            max_request_size=LETTER_LIMIT,
            max_block_ms=int(FIND_TIMEOUT * 1000),
            delivery_timeout_ms=int(SEND_TIMEOUT * 1000),
            request_timeout_ms=int(self._acknowledge * 1000),
            metadata_max_age_ms=10_000,
            metrics_enabled=False,
        )


def _split_nothing(producer: KafkaProducer) -> None:
    """Make a batch fail if it is too large for its topic, so that the caller sends less at once. kafka-python 3.0.12
    would split it: `flush` takes that for a failure, and the parts may be sent after the next batch."""
    producer._sender._can_split = lambda *_: False  # noqa: SLF001 - there is no setting


def _find(producer: KafkaProducer, prefix: str, topic: str) -> None:
    """Raise TopicRefused if the topic does not exist, before anything is sent: the client would wait for a missing
    topic as it waits for a broker."""
    try:
        producer.partitions_for(f"{prefix}{topic}")
    except KafkaTimeoutError as error:
        if _answered_lately(producer):
            raise TopicRefused(topic, UnknownTopicOrPartitionError.__name__) from error
        raise
    except Exception as error:
        raise verdict(topic, error) from error


def _answered_lately(producer: KafkaProducer) -> bool:
    refreshed: float = producer._metadata._last_successful_refresh_ms / 1000  # noqa: SLF001 - there is no public one
    return time.monotonic() - refreshed < LATELY


def _attempt(producer: KafkaProducer, prefix: str, record: Outgoing) -> Any:
    """Return a future, or the error by which this record can never be sent."""
    try:
        topic, headers = f"{prefix}{record.topic}", list(record.headers)
        return producer.send(topic, key=record.key, value=record.value, headers=headers)
    except Exception as error:
        if isinstance(verdict(record.topic, error), RecordRefused):
            return error
        raise


def _flush(producer: KafkaProducer, attempts: Sequence[Any]) -> None:
    """Send everything. Raises KafkaTimeoutError once the time is over, or as soon as no broker accepted a part of it:
    the client would wait for each part in turn, for the full time each, and without a producer id no other part would
    time out."""
    until = time.monotonic() + SEND_TIMEOUT
    while True:
        try:
            producer.flush(timeout=FLUSH)
        except KafkaTimeoutError:
            if time.monotonic() > until or any(map(_was_not_taken, attempts)):
                raise
        else:
            return


def _was_not_taken(attempt: Any) -> bool:
    error = None if isinstance(attempt, Exception) or not attempt.is_done else attempt.exception
    return error is not None and isinstance(verdict("", error), StreamUnavailable)


def _outcome(attempt: Any) -> Exception | None:
    if isinstance(attempt, Exception):
        return attempt
    try:
        attempt.get(timeout=SEND_TIMEOUT)
    except Exception as error:  # noqa: BLE001 - the caller decides what the error means
        return error
    return None
