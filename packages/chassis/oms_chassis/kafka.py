"""Kafka through kafka-python: the only module that imports it."""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.errors import CommitFailedError, IllegalStateError, KafkaError, RebalanceInProgressError
from kafka.structs import OffsetAndMetadata

from oms_chassis.settings import Settings
from oms_chassis.streams import BATCH, Outgoing, Partition, Record, StreamUnavailable
from oms_contracts import topics

SEND_TIMEOUT = 30.0  # seconds until a batch that no broker acknowledged counts as not sent
UNASSIGNED = 20.0  # seconds without partitions after which a member starts over: see KafkaSource.poll
RECORD_LIMIT = 4 * 1024 * 1024  # bytes: a dead letter is its message and more, so it must be allowed to be larger


def connection(settings: Settings) -> dict[str, Any]:
    """How to reach the brokers, as kafka-python takes it."""
    config = {
        "bootstrap_servers": settings.kafka_bootstrap.split(","),
        "client_id": "oms",
        "bootstrap_timeout_ms": 5_000,
        "reconnect_backoff_max_ms": 1_000,  # the default grows to 30 s, and orders would wait for it after an outage
        "security_protocol": settings.kafka_security_protocol,
        "sasl_mechanism": settings.kafka_sasl_mechanism,
        "sasl_plain_username": settings.kafka_username,
        "sasl_plain_password": settings.kafka_password and settings.kafka_password.get_secret_value(),
        "ssl_cafile": settings.kafka_ca_file,
        "ssl_certfile": settings.kafka_cert_file,
        "ssl_keyfile": settings.kafka_key_file,
    }
    return {name: value for name, value in config.items() if value is not None}


@contextlib.contextmanager
def _unavailable_on_error() -> Iterator[None]:
    try:
        yield
    except (KafkaError, OSError) as error:
        raise StreamUnavailable(type(error).__name__) from error


class _Flag(ConsumerRebalanceListener):  # type: ignore[misc] # kafka-python has no types
    """Runs on the heartbeat's thread, so that it sets a flag and does no more."""

    def __init__(self) -> None:
        self.assigned = False
        self.since = time.monotonic()

    def on_partitions_assigned(self, assigned: object) -> None:  # noqa: ARG002 - kafka-python's signature
        self.assigned = True

    def on_partitions_revoked(self, revoked: object) -> None:  # noqa: ARG002 - the same
        self.assigned, self.since = False, time.monotonic()

    def is_lost(self) -> bool:
        """Whether the group has not taken this member in for longer than sharing out can take."""
        return not self.assigned and time.monotonic() - self.since > UNASSIGNED


class KafkaSource:
    """A member of a consumer group; offsets are committed by hand, after the work."""

    def __init__(self, settings: Settings, group: str, names: Sequence[str]) -> None:
        self._flag = _Flag()
        with _unavailable_on_error():
            self._consumer = KafkaConsumer(
                **connection(settings),
                group_id=group,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                max_poll_records=BATCH,
                max_partition_fetch_bytes=RECORD_LIMIT,
                session_timeout_ms=10_000,
                metadata_max_age_ms=10_000,
                metrics_enabled=False,
            )
            self._consumer.subscribe(list(names), listener=self._flag)
            # kafka-python 3.0.12: a member that joins before it knows its topics joins again when it hears of them,
            # and if a poll ends in the middle of that, it waits for ever. So let it know them first.
            for name in names:
                self._consumer.partitions_for_topic(name)

    def poll(self, seconds: float) -> Sequence[Record]:
        with _unavailable_on_error():
            found = self._consumer.poll(timeout_ms=int(seconds * 1000), max_records=BATCH)
        # What is said in __init__ can still happen when a topic gets more partitions: start over then.
        if self._flag.is_lost():
            raise StreamUnavailable("the group has not taken this member in")
        return [
            Record(r.topic, r.partition, r.offset, r.key, r.value, r.headers or ())
            for records in found.values()
            for r in records
        ]

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        # A group that is being shared out anew refuses: the records come again, and the inbox drops them.
        with _unavailable_on_error(), contextlib.suppress(CommitFailedError, RebalanceInProgressError):
            self._consumer.commit(
                {TopicPartition(*where): OffsetAndMetadata(offset, "", -1) for where, offset in offsets.items()}
            )

    def rewind(self, offsets: Mapping[Partition, int]) -> None:
        for where, offset in offsets.items():
            with contextlib.suppress(IllegalStateError, AssertionError):  # it is another member's by now
                self._consumer.seek(TopicPartition(*where), offset)

    def lag(self) -> Mapping[Partition, int]:
        lags = {}
        for where in self._consumer.assignment():
            with contextlib.suppress(KafkaError, IllegalStateError, AssertionError):
                end, position = self._consumer.highwater(where), self._consumer.position(where, timeout_ms=100)
                if end is not None and position is not None:
                    lags[where.topic, where.partition] = max(0, end - position)
        return lags

    def is_assigned(self) -> bool:
        return self._flag.assigned

    def close(self) -> None:
        with contextlib.suppress(KafkaError, OSError):
            self._consumer.close(autocommit=False, timeout_ms=5_000)


class KafkaSink:
    """An idempotent producer that connects with its first use."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer: KafkaProducer | None = None

    def send(self, records: Sequence[Outgoing]) -> None:
        with _unavailable_on_error():
            try:
                producer = self._connected()
                futures = [producer.send(r.topic, key=r.key, value=r.value, headers=list(r.headers)) for r in records]
                producer.flush(timeout=SEND_TIMEOUT)
                for future in futures:
                    future.get(timeout=SEND_TIMEOUT)
            except (KafkaError, OSError, AssertionError):
                # What is left in its buffers would be sent again out of order: start with a fresh one.
                self.close()
                raise

    def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            with contextlib.suppress(KafkaError, OSError):
                producer.close(timeout=1)

    def _connected(self) -> KafkaProducer:
        if self._producer is None:
            self._producer = KafkaProducer(
                **connection(self._settings),
                acks="all",
                enable_idempotence=True,
                linger_ms=0,
                batch_size=256 * 1024,
                max_request_size=RECORD_LIMIT,
                max_block_ms=10_000,
                delivery_timeout_ms=int(SEND_TIMEOUT * 1000),
                request_timeout_ms=10_000,
                metadata_max_age_ms=10_000,
                metrics_enabled=False,
            )
        return self._producer


def create_topics(settings: Settings) -> list[str]:
    """Create the topics that are missing; their names."""
    with _unavailable_on_error():
        admin = KafkaAdminClient(**connection(settings))
        try:
            missing = sorted(set(topics.names()) - set(admin.list_topics()))
            if missing:
                admin.create_topics({name: _topic(settings, name) for name in missing})
            return missing
        finally:
            admin.close()


def _topic(settings: Settings, name: str) -> dict[str, Any]:
    compacted = {topic.name for topic in topics.TOPICS if topic.compacted}
    configs = {
        "max.message.bytes": str(RECORD_LIMIT),
        "cleanup.policy": "compact" if name in compacted else "delete",
        # The broker's own default is one: a record could be acknowledged, and lost with the only copy.
        "min.insync.replicas": str(settings.kafka_min_in_sync),
    }
    return {
        "num_partitions": settings.kafka_partitions,
        "replication_factor": settings.kafka_replication,
        "configs": configs,
    }
