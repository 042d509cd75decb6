"""Dead letters: messages that no retry could save, kept on `<service>.deadletter` with the reason in headers.

A letter is what the broker certainly takes, whatever was read: parts of the record that no producer may send or that
are too large are replaced, and a header says so.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from oms_chassis.db import Database
from oms_chassis.messaging import deadletterstore, inbox, outbox
from oms_chassis.messaging.streams import RECORD_LIMIT, Headers, Outgoing, Record
from oms_chassis.telemetry import tracing
from oms_chassis.telemetry.logs import logger
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts.topics import dead_letter

log = logger(__name__)

PREFIX = "oms-"
# bytes that a letter keeps of its record: the topics of earlier releases take no more than those of events do
KEPT = RECORD_LIMIT - 64 * 1024
PORTION = 4 * 1024 * 1024  # bytes of records after which no more are written in one transaction
NAMES = 16 * 1024  # characters at most that list the headers without a value


class Failed(NamedTuple):
    """A record that no retry can save, and why; with its event's trace if it holds one.

    Not the error itself: it refers to frames, and these to all that was read, which a cycle would keep in memory.
    """

    record: Record
    error: str
    traceparent: str | None = None


class DeadLetters:
    """A service's dead letters: each record becomes one at most, however often it is read."""

    def __init__(self, service: str, database: Database, metrics: Metrics) -> None:
        self._service, self._database, self._metrics = service, database, metrics

    def write(self, failed: Sequence[Failed]) -> None:
        """Put these on their way to the topic of dead letters, in one transaction."""
        names = [one.record.name for one in failed]
        with self._database.transaction() as transaction:
            new = set(inbox.new_ids(transaction, names))
            fresh = [one for name, one in zip(names, failed, strict=True) if name in new]
            written = [(one.record, letter(self._service, one.record, one.error), one.error) for one in fresh]
            if fresh:
                outbox.emit_records(transaction, [one for _, one, _ in written])
                deadletterstore.keep(transaction, written)
        self._report(fresh)
        again = (one.record.topic for name, one in zip(names, failed, strict=True) if name not in new)
        for topic, count in Counter(again).items():
            self._metrics.events.labels(topic, "duplicate").inc(count)

    def _report(self, fresh: Sequence[Failed]) -> None:
        """Count them, and log those alike as one: a line for each of thousands would take longer than the letters."""
        alike: dict[tuple[str, int, str, str | None], list[int]] = {}
        for record, error, traceparent in fresh:
            alike.setdefault((record.topic, record.partition, error, traceparent), []).append(record.offset)
        for (topic, partition, kind, traceparent), offsets in alike.items():
            self._metrics.dead_letters.labels(topic).inc(len(offsets))
            self._metrics.events.labels(topic, "dead").inc(len(offsets))
            more = {"count": len(offsets), "last_offset": offsets[-1]} if len(offsets) > 1 else {}
            place = {"topic": topic, "partition": partition, "offset": offsets[0]}
            log.error("dead_letter", **place, **more, error=kind, **tracing.field(traceparent))


def portions(failed: Iterable[Failed]) -> Iterator[list[Failed]]:
    """These in portions that memory has room for as letters."""
    portion: list[Failed] = []
    size = 0
    for one in failed:
        portion.append(one)
        size += min(_size(one.record.key, one.record.value, one.record.headers), KEPT)
        if size > PORTION:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def letter(service: str, record: Record, error: str) -> Outgoing:
    """A record as a dead letter. Headers name the error's class, never its text: that may quote the message."""
    origin = {
        "error": error,
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
    }
    key, value, headers = _fitting(record)
    if key is None and value is None:  # no client may send it
        value, origin["null-value"] = b"", "true"
    if nulls := [_name(name) for name, content in headers if content is None]:
        origin["null-headers"] = ",".join(nulls)[:NAMES]
    if _size(record.key, record.value, record.headers) > KEPT:
        origin |= _original_size(record)
    kept = [(_name(name), content or b"") for name, content in headers]
    return Outgoing(
        dead_letter(service),
        key,
        value,
        [*kept, *((f"{PREFIX}{name}", text.encode()) for name, text in origin.items())],
    )


def _fitting(record: Record) -> tuple[bytes | None, bytes | None, Headers]:
    """Key, value and headers, shortened to what a letter keeps: first the value, then the headers, then the key."""
    key, value, headers = record.key, record.value, record.headers
    if _size(key, None, headers) > KEPT:
        headers = ()
    if key is not None:
        key = key[:KEPT]
    if value is not None:
        value = value[: KEPT - _size(key, None, headers)]
    return key, value, headers


def _original_size(record: Record) -> dict[str, str]:
    return {
        "original-key-size": str(len(record.key or b"")),
        "original-value-size": str(len(record.value or b"")),
        "original-headers": str(len(record.headers)),
    }


def _size(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    return len(key or b"") + len(value or b"") + sum(_lengths(headers))


def _lengths(headers: Headers) -> Iterator[int]:
    # Each header has two lengths before it, of at most five bytes.
    return (len(name.encode()) + len(content or b"") + 10 for name, content in headers)


def _name(name: str) -> str:
    """A header's name without the one character that Postgres cannot store."""
    return name.replace("\0", "\ufffd")
