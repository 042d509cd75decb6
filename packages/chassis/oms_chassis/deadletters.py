"""Dead letters: messages that no retry could save, kept on `<service>.deadletter` with the reason in headers."""

from oms_chassis.streams import Outgoing, Record
from oms_contracts.topics import dead_letter

PREFIX = "oms-"


def letter(service: str, record: Record, error: BaseException) -> Outgoing:
    """A record as a dead letter. Headers name the error's class, never its text: that may quote the message."""
    origin = {
        "error": type(error).__name__,
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
    }
    headers = [*record.headers, *((f"{PREFIX}{name}", value.encode()) for name, value in origin.items())]
    return Outgoing(dead_letter(service), record.key, record.value, headers)


def identity(record: Record) -> str:
    """A name for the record itself, for one whose event id cannot be read."""
    return f"dead:{record.topic}:{record.partition}:{record.offset}"
