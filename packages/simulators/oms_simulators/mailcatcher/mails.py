"""Emails on disk, in an mbox (RFC 4155) that any mail program can open.

One file, because making a file for each mail would cost more CPU than everything else. Duplicates are stored as they
came and left out on reading, by Message-ID, as a mail reader does it: so a test can still see how often a service
really sent a mail (`deliveries`).
"""

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path

from oms_simulators.mailcatcher.appending import append
from oms_simulators.mailcatcher.record import Record, instant

# The headers that are needed of every mail: parsing all headers would cost more than everything else.
_MESSAGE_ID, _ORDER_ID = (
    re.compile(rb"^%s:[ \t]*(?:\r?\n[ \t]+)?([^\r\n]*)" % name, re.MULTILINE | re.IGNORECASE)
    for name in (b"Message-ID", b"X-Order-Id")
)
_HEADERS_END = re.compile(rb"\r?\n\r?\n")
_SEPARATOR = re.compile(rb"^(>*From )", re.MULTILINE)  # lines of a mail must not look like this
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)
# The first line of each mail's entry is as in any mbox; the second has the length of the mail, and when it came.
_ENTRY = re.compile(rb"From mailcatcher .{24}\nX-Mailcatcher: length=([0-9]+) received=([0-9.]+)\n")
_LONGEST_ENTRY = 200


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the file a mail is, in bytes."""

    start: int
    length: int
    order_id: str
    received_at: float


class Mails:
    """Written by one thread at a time, read by any. Nothing is synced to disk: this is for test systems."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab+", buffering=0)
        self._first: dict[str, _Place] = {}  # by Message-ID, in the order of arrival
        self._by_order: dict[str, list[str]] = {}  # Message-IDs
        self.deliveries = 0
        for start, length, received_at in self._load():
            self._index(self._read(start, length), start, length, received_at)

    def __len__(self) -> int:
        return len(self._first)

    def keep(self, mail: bytes) -> None:
        """Store a mail. Raises OSError if the disk refuses it."""
        kept, now = _SEPARATOR.sub(rb">\1", mail.replace(b"\r\n", b"\n")), time.time()
        entry = f"From mailcatcher {time.asctime(time.gmtime(now))}\nX-Mailcatcher: length={len(kept)} received={now}\n"
        start = append(self._file, b"%s%s\n" % (entry.encode(), kept)) + len(entry)
        self._index(mail, start, len(kept), now)

    def read(self, order_id: str | None, limit: int) -> list[Record]:
        """Return the newest `limit` mails (of an order), oldest of them first."""
        found = list(self._first) if order_id is None else list(self._by_order.get(order_id, ()))
        places = [(message_id, self._first[message_id]) for message_id in found[-limit:]]
        return [_record(message_id, place, self._read(place.start, place.length)) for message_id, place in places]

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read(self, start: int, length: int) -> bytes:
        return _QUOTED.sub(rb"\1", os.pread(self._file.fileno(), length, start))  # does not move the file's position

    def _load(self) -> Iterator[tuple[int, int, float]]:
        """Yield where each mail starts, its length, and when it came. An incomplete one, after a kill, is cut off."""
        end, position = self._file.seek(0, 2), 0
        while position < end:
            self._file.seek(position)
            entry = _ENTRY.match(self._file.read(_LONGEST_ENTRY))
            start, length = position + (entry.end() if entry else 0), int(entry[1]) if entry else 0
            if entry is None or start + length + 1 > end:
                self._file.truncate(position)
                return
            yield start, length, float(entry[2])
            position = start + length + 1

    def _index(self, mail: bytes, start: int, length: int, received_at: float) -> None:
        message_id, order_id = _header(mail, _MESSAGE_ID) or f"<{start}>", _header(mail, _ORDER_ID)
        self.deliveries += 1
        if message_id not in self._first:
            self._first[message_id] = _Place(start, length, order_id, received_at)
            self._by_order.setdefault(order_id, []).append(message_id)


def _header(mail: bytes, name: re.Pattern[bytes]) -> str:
    """Return a header's value; empty if the mail does not have the header."""
    end = _HEADERS_END.search(mail)
    found = name.search(mail, 0, end.start() if end else len(mail))
    return found[1].strip().decode("utf-8", "replace") if found else ""


def _record(message_id: str, place: _Place, mail: bytes) -> Record:
    parsed = BytesParser(EmailMessage, policy=policy.default).parsebytes(mail)
    body = parsed.get_body(("plain",))
    text = body.get_content().replace("\r\n", "\n") if body is not None else ""
    to, subject = str(parsed["To"] or ""), str(parsed["Subject"] or "")
    return Record(place.order_id, "email", to, subject, text, message_id, instant(place.received_at))
