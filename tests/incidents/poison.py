"""Records that are not events, and that no client of ours could send."""

from collections import Counter
from collections.abc import Mapping, Sequence

from kafka import KafkaProducer, TopicPartition

from oms_contracts.topics import TOPICS, Topic

Record = tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]

LARGE = 6_000_000  # bytes: a few thousand when compressed, which every topic accepts


class _Headers(list[tuple[str, bytes | None]]):
    """Headers whose size the client does not add up for its records' metadata: it cannot if one of them is null."""

    def __bool__(self) -> bool:
        return False


class _NoText(str):
    """A header's name that is not UTF-8 on the wire."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:  # noqa: ARG002 - str's own signature
        return b"\xff\xfe"


NO_TEXT = _NoText("no text")


def records(topic: Topic) -> Sequence[Record]:
    """Return one of each kind. A compacted topic refuses one without a key, and one without a value is a tombstone."""
    key = b"poison"
    no_key = key if topic.compacted else None
    another = b'{"specversion":"1.0","id":"1","source":"oms/order","type":"somethingElse","data":{}}'
    return [
        (key, b"not an event", [("trace", None)]),
        (no_key, None, []),
        (key, b"x" * LARGE, []),
        (key, another, []),
        (key, b"\xff\xfe no JSON", []),
        (key, b"a header without a name", [(NO_TEXT, b"value")]),
    ]


def burst(kafka: str) -> None:
    """Send one of each kind to each topic."""
    producer = KafkaProducer(bootstrap_servers=kafka, compression_type="gzip", max_request_size=2 * LARGE)
    try:
        for topic in TOPICS:
            for record in records(topic):
                send(producer, topic.name, record)
        producer.flush(60)
    finally:
        producer.close(10)


def send(producer: KafkaProducer, topic: str, record: Record) -> None:
    """Send a record that the client refuses to send, but that other clients may send."""
    producer.partitions_for(topic)
    key, value, headers = record
    producer._accumulator.append(TopicPartition(topic, 0), None, key, value, _Headers(headers))
    producer._sender.wakeup()


def letters() -> Mapping[str, int]:
    """Return the number of dead letters that a burst makes, by service."""
    made: Counter[str] = Counter()
    for topic in TOPICS:
        kept = [value for _, value, _ in records(topic) if value is not None or not topic.compacted]
        made.update(dict.fromkeys(topic.read_by, len(kept)))
    return made
