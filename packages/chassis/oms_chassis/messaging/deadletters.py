"""Dead letters: messages that no retry could save, kept on `<service>.deadletter` with the reason in headers.

The broker must accept every letter, whatever its record held: parts of the record that no producer may send, or that
are too large, are replaced, and a header says so.
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
# bytes of its record that a letter keeps: topics that an earlier release created for letters accept no more than topics
# of events do
KEPT = RECORD_LIMIT - 64 * 1024
PORTION = 4 * 1024 * 1024  # bytes of records, after which a transaction takes no more letters
NAMES = 16 * 1024  # characters that the list of headers without a value may have


class Failed(NamedTuple):
    """A record that no retry can save, the class of its error, and the trace of its event if it holds one.

    It does not keep the error itself: an error refers to frames, which refer to all records that were read, and that
    cycle would keep them in memory.
    """

    record: Record
    error: str
    traceparent: str | None = None


class DeadLetters:
    """Writes a service's dead letters. Each record becomes at most one, however often it is read."""

    def __init__(self, service: str, database: Database, metrics: Metrics) -> None:
        self._service, self._database, self._metrics = service, database, metrics

    def write(self, failed: Sequence[Failed]) -> None:
        """Put the letters of these records into the outbox and the table of dead letters, in one transaction."""
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
        """Count the letters and log them, similar ones together: thousands of lines would take longer to write than the
        letters."""
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
    """Divide these into portions whose letters fit into memory."""
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
    """Return a record as a dead letter. Headers name the class of the error, never its text, which may quote the
    message."""
    origin = {
        "error": error,
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
    }
    key, value, headers = _fitting(record)
    if key is None and value is None:  # no client may send such a record
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
    """Return key, value and headers, shortened to the size that a letter keeps: first the value, then the headers, then
    the key."""
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
    # The two lengths in front of each header take up to five bytes each.
    return (len(name.encode()) + len(content or b"") + 10 for name, content in headers)


def _name(name: str) -> str:
    """Return a header's name without the one character that Postgres cannot store."""
    return name.replace("\0", "\ufffd")
