"""An idempotent producer that says whether a broker, a topic or a record is the reason why it could not send."""

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

SEND_TIMEOUT = 15.0  # seconds until a batch that no broker acknowledged counts as not sent
# Seconds until what was not acknowledged is sent again by another connection; and after a batch that was not sent in
# time: the brokers may be slow, or the line is thin.
ACKNOWLEDGE, ACKNOWLEDGE_SLOWLY = 5.0, 10.0
# What `flush` ends at once. Until then nothing goes out: else a batch would be sent in pieces, with the sender's thread
# woken for each partition, and the broker would answer many requests rather than one.
LINGER_MS = 50
FLUSH = 0.5  # seconds between two looks at what has become of a batch
FIND_TIMEOUT = 5.0  # seconds until a topic that no broker knows counts as missing
LATELY = 1.0  # seconds since an answer by which a broker is there: while a topic is looked for, it is asked each 0.1 s


class KafkaSink:
    """An idempotent producer that connects with its first use."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer: KafkaProducer | None = None
        self._until = 0.0  # when what is being sent may go out at the latest
        self._acknowledge = ACKNOWLEDGE

    def send(self, records: Sequence[Outgoing]) -> None:
        began = time.monotonic()
        try:
            self._send(self._connected(), records)
        except (RecordRefused, TopicRefused):
            raise
        except Exception as error:
            # What is left in its buffers would be sent again out of order: start with a fresh one.
            self._start_over(ACKNOWLEDGE_SLOWLY)
            raise error if isinstance(error, StreamUnavailable) else StreamUnavailable(type(error).__name__) from error
        if self._acknowledge > ACKNOWLEDGE > time.monotonic() - began:
            self._start_over(ACKNOWLEDGE)

    def _start_over(self, acknowledge: float) -> None:
        self.close()
        self._acknowledge = acknowledge

    def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            # Whatever is left must not be sent any more. The client would wait for it, give up, and go on trying in a
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
            self.close()  # after a refusal by the broker, what it expects next of this producer is uncertain
        raise_gravest([verdict(r.topic, error) for r, error in zip(records, outcomes, strict=True) if error])

    def _send_nothing_late(self, producer: KafkaProducer) -> None:
        """Let a producer send no batch whose time is over, as after its process was suspended: another relay may have
        sent the same meanwhile, and what comes after it. kafka-python 3.0.12 says that it failed, and sends it."""
        sender, limit = producer._sender, producer.config["delivery_timeout_ms"]  # noqa: SLF001 - there is no public one
        usual = sender._create_produce_requests  # noqa: SLF001 - the same

        def in_time(collated: dict[Any, list[Any]]) -> Any:
            if time.monotonic() > self._until:
                for batch in chain.from_iterable(collated.values()):
                    batch.created = 0.0  # for the client, which gives it up in its next round
            for batches in collated.values():
                batches[:] = [batch for batch in batches if not batch.has_reached_delivery_timeout(limit)]
            return usual(collated)

        sender._create_produce_requests = in_time  # noqa: SLF001 - the same

    def _connected(self) -> KafkaProducer:
        if self._producer is None:
            with closed_on_error() as client:
                self._producer = self._connect(client)
            self._send_nothing_late(self._producer)
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
    """A batch that is too large for its topic fails, and the caller sends less at once. kafka-python 3.0.12 splits it,
    and flush takes that for its failure; nor do the parts keep their place before the next batch."""
    producer._sender._can_split = lambda *_: False  # noqa: SLF001 - there is no setting


def _find(producer: KafkaProducer, prefix: str, topic: str) -> None:
    """Make sure that the topic is known before anything is sent: the client waits for a missing one as for a broker."""
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
    """A future; or the error that says that this record can never be sent."""
    try:
        topic, headers = f"{prefix}{record.topic}", list(record.headers)
        return producer.send(topic, key=record.key, value=record.value, headers=headers)
    except Exception as error:
        if isinstance(verdict(record.topic, error), RecordRefused):
            return error
        raise


def _flush(producer: KafkaProducer, attempts: Sequence[Any]) -> None:
    """Have everything sent. KafkaTimeoutError once the time is over, or no broker took a part of it: the client waits
    for each part in turn, for as long each time, and while it has no producer's id, no other part's time is over."""
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
    except Exception as error:  # noqa: BLE001 - the caller decides what it means
        return error
    return None
