"""A message as the mail catcher shows it, whether it is an email or a text."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

Kind = Literal["email", "sms"]


@dataclass(frozen=True, slots=True)
class Record:
    """A received message. `message_id` is the Message-ID of an email, the idempotency key of a text."""

    order_id: str
    kind: Kind
    to: str
    subject: str
    text: str
    message_id: str
    received_at: str

    def shown(self) -> dict[str, str]:
        """Return the record as the HTTP API shows it."""
        return {
            "orderId": self.order_id,
            "kind": self.kind,
            "to": self.to,
            "subject": self.subject,
            "text": self.text,
            "messageId": self.message_id,
            "receivedAt": self.received_at,
        }


def instant(seconds: float) -> str:
    """Return a time in seconds since the epoch as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
