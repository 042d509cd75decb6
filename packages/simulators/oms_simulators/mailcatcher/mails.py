"""Emails on disk, in a maildir that any mail program can open.

Duplicates are kept as they came and left out on reading, by Message-ID, as a mail reader does: so a test that wants to
know how often a service truly sent can still see it (`deliveries`).
"""

import mailbox
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.parser import BytesHeaderParser, BytesParser
from pathlib import Path

from oms_simulators.mailcatcher.record import Record, instant

_HEADERS = BytesHeaderParser(policy=policy.compat32)  # ten times as fast as the policies that decode


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the maildir a mail is."""

    key: str
    order_id: str
    received_at: float


class Mails:
    """Used by one thread at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = mailbox.Maildir(folder, factory=None, create=True)
        self._first: dict[str, _Place] = {}  # by Message-ID, in the order of arrival
        self._by_order: dict[str, list[str]] = {}  # Message-IDs
        self.deliveries = 0
        for key in sorted(self._folder.iterkeys(), key=_moment):
            self._index(key, self._folder.get_bytes(key))

    def __len__(self) -> int:
        return len(self._first)

    def keep(self, mail: bytes) -> None:
        """Store a mail; OSError if the disk refuses."""
        self._index(self._folder.add(mail), mail)

    def read(self, order_id: str | None, limit: int) -> list[Record]:
        """The newest `limit` mails (of an order), oldest of them first."""
        found = list(self._first) if order_id is None else list(self._by_order.get(order_id, ()))
        places = [(message_id, self._first[message_id]) for message_id in found[-limit:]]
        return [_record(message_id, place, self._folder.get_bytes(place.key)) for message_id, place in places]

    def _index(self, key: str, mail: bytes) -> None:
        headers = _HEADERS.parsebytes(mail)
        message_id, order_id = str(headers["Message-ID"] or f"<{key}>"), str(headers["X-Order-Id"] or "")
        self.deliveries += 1
        if message_id not in self._first:
            self._first[message_id] = _Place(key, order_id, _moment(key))
            self._by_order.setdefault(order_id, []).append(message_id)


def _moment(key: str) -> float:
    """When a mail came, in seconds since the epoch: a maildir's names begin with it (`1764000000.M123456P…`)."""
    seconds, _, rest = key.partition(".M")
    return float(f"{seconds}.{rest.partition('P')[0]:0>6}")


def _record(message_id: str, place: _Place, mail: bytes) -> Record:
    parsed = BytesParser(EmailMessage, policy=policy.default).parsebytes(mail)
    body = parsed.get_body(("plain",))
    text = body.get_content().replace("\r\n", "\n") if body is not None else ""
    to, subject = str(parsed["To"] or ""), str(parsed["Subject"] or "")
    return Record(place.order_id, "email", to, subject, text, message_id, instant(place.received_at))
