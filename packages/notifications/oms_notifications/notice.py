"""Notices to customers, and the interface of the providers that send them."""

import hashlib
import re
from dataclasses import dataclass, fields
from typing import Protocol

from oms_chassis.jobs.queue import Done, Job, NewJob, Outcome, Unanswered, Unavailable
from oms_notifications.messages import FOLLOWS

KEPT = "kept"  # in a result: the message can be sent again later
OUTDATED = "outdated"  # in a job's payload: the content of its message is no longer true
_SAFE = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class Notice:
    """One message to one customer. `subject` is empty for channels without one; `doubts` counts earlier attempts that
    may have reached the customer; `refund_id` is set if it is about a refund. An `outdated` notice is not sent."""

    order_id: str
    kind: str
    to: str
    text: str
    subject: str = ""
    doubts: int = 0
    refund_id: str = ""
    outdated: bool = False

    @property
    def about(self) -> str:
        """The id of the order or the refund that the notice is about: each has one message."""
        return self.refund_id or self.order_id

    @property
    def key(self) -> str:
        """The idempotency key: the same for every attempt, and safe in any header."""
        about = self.about
        if not _SAFE.fullmatch(about):
            about = hashlib.sha256(about.encode("utf-8", "surrogatepass")).hexdigest()
        return f"{about}.{self.kind}"

    def job(self, traceparent: str | None) -> NewJob:
        """The job that sends this notice. By its id, an order has one job, another one if it is cancelled, and one for
        each refund."""
        payload = {"kind": self.kind, "to": self.to, "text": self.text, "subject": self.subject}
        if self.refund_id:
            payload["refund_id"] = self.refund_id
        return NewJob(self.job_id, self.order_id, payload, traceparent)

    @property
    def job_id(self) -> str:
        """The id of the job that sends this notice."""
        return job_id(self.about, self.kind)

    @classmethod
    def of(cls, job: Job) -> "Notice":
        """The notice in a job's payload. Fields that a later release has added are ignored."""
        return cls(job.subject, **{name: job.payload[name] for name in _CARRIED if name in job.payload})


_CARRIED = tuple(field.name for field in fields(Notice) if field.name != "order_id")


def job_id(about: str, kind: str) -> str:
    """The id of the job that sends a message of this kind about an order, or a refund."""
    return f"{about}.{kind}" if kind in FOLLOWS else about


class InDoubt(Unavailable):
    """The provider may have accepted the message, and knows no idempotency keys. If it does not answer for several
    messages in a row, no more are risked."""


class Provider(Protocol):
    """Sends notices to customers: a mail server, an SMS provider."""

    def send(self, notice: Notice) -> Outcome:
        """Send a notice; returns `sent(...)`, `refused(...)`, `turned_down(...)`, Retry after a temporary failure, or
        InDoubt. Called by several threads at once, and again for a notice whose earlier call failed, with the same
        `notice.key`."""


def sent(provider_id: str) -> Done:
    """The provider has accepted the message."""
    return Done({"state": "sent", "provider_id": provider_id, "reason": None})


def refused(reason: str) -> Done:
    """The provider will never accept this message. `reason` is short and contains no personal data."""
    return Done({"state": "failed", "provider_id": None, "reason": reason})


def turned_down(reason: str) -> Done:
    """The provider does not accept this message, but may if we change something: the sender, the wording, the server.
    Its job is kept as a dead one. `reason` as in `refused`."""
    return Done({**refused(reason).result, KEPT: True})


def unknown(reason: str) -> Done:
    """The customer may have received this message; it is not sent again automatically. `reason` as in `refused`."""
    return Unanswered({"state": "unknown", "provider_id": None, "reason": reason}, reason)
