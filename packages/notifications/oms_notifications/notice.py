"""A notice on its way to the customer, and the provider that takes it."""

import hashlib
import re
from dataclasses import dataclass, fields
from typing import Protocol

from oms_chassis.jobs.queue import Done, Job, NewJob, Outcome, Unanswered, Unavailable
from oms_notifications.messages import FOLLOWS

KEPT = "kept"  # in a result: its message can be sent again
OUTDATED = "outdated"  # in a job's payload: what its message says is no longer so
_SAFE = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class Notice:
    """One message to one customer. `subject` is empty where the way of sending has none; `doubts` counts the earlier
    attempts that the customer may have got. `refund_id` is there if it is about a refund of the order. One that is
    `outdated` is not sent any more."""

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
        """What has one message: an order, or a refund."""
        return self.refund_id or self.order_id

    @property
    def key(self) -> str:
        """The same for every attempt, and safe in any header: by it a receiver knows a repetition."""
        about = self.about
        if not _SAFE.fullmatch(about):
            about = hashlib.sha256(about.encode("utf-8", "surrogatepass")).hexdigest()
        return f"{about}.{self.kind}"

    def job(self, traceparent: str | None) -> NewJob:
        """The job whose call sends this notice; its id lets an order have only one, one more if it is cancelled, and
        one for each refund."""
        payload = {"kind": self.kind, "to": self.to, "text": self.text, "subject": self.subject}
        if self.refund_id:
            payload["refund_id"] = self.refund_id
        return NewJob(self.job_id, self.order_id, payload, traceparent)

    @property
    def job_id(self) -> str:
        """The id of its job: an order has one of them, and a second that may follow."""
        return job_id(self.about, self.kind)

    @classmethod
    def of(cls, job: Job) -> "Notice":
        """The notice that a job carries. What a later release has added is passed over."""
        return cls(job.subject, **{name: job.payload[name] for name in _CARRIED if name in job.payload})


_CARRIED = tuple(field.name for field in fields(Notice) if field.name != "order_id")


def job_id(about: str, kind: str) -> str:
    """The id of the job that sends a message of this kind about an order, or a refund."""
    return f"{about}.{kind}" if kind in FOLLOWS else about


class InDoubt(Unavailable):
    """The provider may have taken the message, and has no key by which it would know a repetition. If it answers to
    none of several messages in a row, no more are risked."""


class Provider(Protocol):
    """Takes notices to customers: a mail server, an SMS provider."""

    def send(self, notice: Notice) -> Outcome:
        """`sent(...)`, `refused(...)`, `turned_down(...)`, Retry when things may get better, or InDoubt. May be called
        by many threads at once, and again with a notice whose earlier call did not end well: `notice.key` is then the
        same."""


def sent(provider_id: str) -> Done:
    """The provider has the message and answers for it."""
    return Done({"state": "sent", "provider_id": provider_id, "reason": None})


def refused(reason: str) -> Done:
    """The provider will never take this message. `reason` is short and holds nothing of the customer's."""
    return Done({"state": "failed", "provider_id": None, "reason": reason})


def turned_down(reason: str) -> Done:
    """The provider does not take this message, and may if something of ours is another: the sender, the wording, the
    server. It is kept as one that was given up. `reason` as in `refused`."""
    return Done({**refused(reason).result, KEPT: True})


def unknown(reason: str) -> Done:
    """The customer may have got this message, and it is not sent again by itself. `reason` as in `refused`."""
    return Unanswered({"state": "unknown", "provider_id": None, "reason": reason}, reason)
