"""Emails on disk, in one mbox file that any mail program can open.

Not a maildir: that is a file for each mail, and to sync each of them made the inbox ten times as slow. Duplicates are
kept as they came and left out on reading, by Message-ID, as a mail reader does: so a test that wants to know how often
a service truly sent can still see it (`deliveries`).
"""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import BinaryIO

from oms_notifications.inbox.appendfile import AppendFile
from oms_notifications.inbox.record import Record, instant

# mboxrd's way to keep a line of a mail from being taken for the beginning of the next one; it can be undone.
_TO_QUOTE = re.compile(rb"^(>*From )", re.MULTILINE)
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the file a mail stands, without the lines around it."""

    start: int
    length: int
    order_id: str
    received_at: float


class Mbox:
    """Written by one thread at a time (GroupSync); it may be read meanwhile."""

    def __init__(self, path: Path) -> None:
        self._file = AppendFile(path)
        self._first: dict[str, _Place] = {}  # by Message-ID, in the order of arrival
        self._by_order: dict[str, list[str]] = {}  # Message-IDs
        self.deliveries = 0
        with path.open("rb") as file:
            self._load(file)

    def __len__(self) -> int:
        return len(self._first)

    def write(self, mails: list[bytes]) -> None:
        """Keep mails: they are on disk when this returns."""
        now = time.time()
        quoted = [_TO_QUOTE.sub(rb">\1", mail.replace(b"\r\n", b"\n")) for mail in mails]
        entries = [_separator(len(mail), now) + mail + b"\n" for mail in quoted]
        end = self._file.end
        self._file.append(b"".join(entries))
        for mail, entry in zip(quoted, entries, strict=True):
            end += len(entry)
            self._index(mail, end - len(mail) - 1, now)

    def read(self, order_id: str | None, limit: int) -> Iterator[Record]:
        """The newest `limit` mails (of an order), oldest of them first."""
        found = list(self._first) if order_id is None else list(self._by_order.get(order_id, ()))
        for message_id in found[-limit:]:
            place = self._first[message_id]
            quoted = self._file.read(place.start, place.length)
            yield _record(message_id, place, _QUOTED.sub(rb"\1", quoted))

    def close(self) -> None:
        self._file.close()

    def _load(self, file: BinaryIO) -> None:
        while separator := file.readline():
            length, received_at = _parsed(separator)
            mail = file.read(length + 1)
            if len(mail) <= length:
                break
            self._index(mail[:-1], self._file.end + len(separator), received_at)
            self._file.end += len(separator) + length + 1
        self._file.cut()

    def _index(self, mail: bytes, start: int, received_at: float) -> None:
        message_id, order_id = _identity(mail)
        self.deliveries += 1
        message_id = message_id or f"<{start}@inbox>"
        if message_id in self._first:
            return
        self._first[message_id] = _Place(start, len(mail), order_id, received_at)
        self._by_order.setdefault(order_id, []).append(message_id)


def _separator(length: int, at: float) -> bytes:
    """The line before a mail; behind the date, mail programs do not look."""
    return f"From inbox@localhost {time.asctime(time.gmtime(at))} at={at:.6f} length={length}\n".encode()


def _parsed(separator: bytes) -> tuple[int, float]:
    found = re.search(rb" at=([0-9.]+) length=([0-9]+)\n$", separator)
    return (int(found[2]), float(found[1])) if found else (0, 0.0)


def _identity(mail: bytes) -> tuple[str, str]:
    """Message-ID and order id, found without parsing the whole mail: this runs once for every mail."""
    message_id = order_id = ""
    for line in mail.partition(b"\n\n")[0].split(b"\n"):
        name, _, value = line.partition(b":")
        match name.lower():
            case b"message-id":
                message_id = value.strip().decode("utf-8", "replace")
            case b"x-order-id":
                order_id = value.strip().decode("utf-8", "replace")
    return message_id, order_id


def _record(message_id: str, place: _Place, mail: bytes) -> Record:
    parsed = BytesParser(EmailMessage, policy=policy.default).parsebytes(mail)
    body = parsed.get_body(("plain",))
    text = body.get_content().replace("\r\n", "\n") if body is not None else ""
    to, subject = str(parsed["To"] or ""), str(parsed["Subject"] or "")
    return Record(place.order_id, "email", to, subject, text, message_id, instant(place.received_at))
