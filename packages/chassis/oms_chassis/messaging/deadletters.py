"""Dead letters: messages that no retry could save, kept on `<service>.deadletter` with the reason in headers.

A letter is what the broker certainly takes, whatever was read: parts of the record that no producer may send or that
are too large are replaced, and a header says so.
"""

from collections.abc import Iterator

from oms_chassis.messaging.streams import RECORD_LIMIT, Headers, Outgoing, Record
from oms_contracts.topics import dead_letter

PREFIX = "oms-"
# bytes that a letter keeps of its record: the topics of earlier releases take no more than those of events do
KEPT = RECORD_LIMIT - 64 * 1024
NAMES = 16 * 1024  # characters at most that list the headers without a value


def letter(service: str, record: Record, error: BaseException) -> Outgoing:
    """A record as a dead letter. Headers name the error's class, never its text: that may quote the message."""
    origin = {
        "error": type(error).__name__,
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


def identity(record: Record) -> str:
    """A name for the record itself, for one whose event id cannot be read."""
    return f"dead:{record.topic}:{record.partition}:{record.offset}"


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
