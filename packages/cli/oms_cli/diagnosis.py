"""Finds out why orders wait from what every service has about them: the step, the evidence, and the command that
helps."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain

from oms_cli import consumption
from oms_cli.client import Json
from oms_cli.consumption import RUNBOOKS

FLOW = ("order", "payment", "inventory")  # whose work an order waits for


@dataclass(frozen=True)
class Finding:
    """Something that is held up: what, at which step, since when, by what evidence, and what to do."""

    what: str
    step: str
    since: str | None
    evidence: str
    command: str


@dataclass(frozen=True)
class Facts:
    """The services' answers, by service; one that did not answer is missing."""

    conditions: Mapping[str, Json]
    evidence: Mapping[str, Json]

    def about(self, kind: str, order: str) -> Iterator[tuple[str, Json]]:
        """Yield the rows of a kind about an order, with the service that has them."""
        for service in FLOW:
            for row in self.evidence.get(service, {}).get(kind, ()):
                if row["subject"] == order:
                    yield service, row

    def state(self, service: str, subject: str) -> str | None:
        """Return the state of an order in a service, or of a refund in payment."""
        found: str | None = self.evidence.get(service, {}).get("states", {}).get(subject)
        return found


def of_order(order: Json, facts: Facts) -> Finding:
    """Return why this order waits: the first cause for which there is evidence, or the event that must be lost."""
    checks = (dead_letter, quarantined, _call, unsent, _consumer, unreachable)
    found = (check(order, facts) for check in checks)
    return next((finding for finding in found if finding is not None), None) or _lost(order, facts)


def of_service(service: str, condition: Json) -> Iterator[Finding]:
    """Yield what holds a service up, whichever orders it concerns."""
    for evidence, command in consumption.of_replica(service, condition):
        yield Finding(f"service {service}", "consumer", None, evidence, command)
    for queue in condition["pausedQueues"]:
        evidence = f"the provider of queue {queue} is at fault: only a probe is made from time to time"
        yield Finding(f"service {service}", queue, None, evidence, f"{RUNBOOKS}/OmsJobQueuePaused.md")


def of_message(channel: str, message: Json) -> Finding:
    """Return the finding for a message that was given up, or that may have arrived."""
    refund, what = message.get("refundId"), f"order {message['orderId']}"
    what = f"refund {refund} of {what}" if refund else what
    if message["state"] == "unknown":
        evidence = f"the {channel} about it may have arrived: {message['reason']}"
        return Finding(what, channel, message["createdAt"], evidence, "ask the customer")
    evidence = f"the {channel} about it was given up: {message['reason']}"
    command = f"oms messages resend {refund or message['orderId']} --channel {channel}"
    return Finding(what, channel, message["createdAt"], evidence, command)


def dead_letter(order: Json, facts: Facts) -> Finding | None:
    """Return the finding for a dead letter about the order, if there is one."""
    for service, row in facts.about("deadLetters", order["id"]):
        evidence = f"{row['topic']} is a dead letter of {service}: {row['error']}"
        return _of(order, evidence, f"oms deadletters redrive {service} {row['id']}", row["deadAt"])
    return None


def quarantined(order: Json, facts: Facts) -> Finding | None:
    """Return the finding for a quarantined event about the order, if there is one: no broker accepted it."""
    for service, row in facts.about("quarantined", order["id"]):
        evidence = f"{row['topic']} is in the quarantine of {service}: {row['error']}"
        return _of(order, evidence, f"oms outbox redrive {service} {row['id']}", row["quarantinedAt"])
    return None


def _call(order: Json, facts: Facts) -> Finding | None:
    for service, job in facts.about("jobs", order["id"]):
        if job["state"] == "dead":
            evidence = f"its {job['queue']} was given up by {service}: {job['lastError']}"
            return _of(order, evidence, f"oms jobs retry {service} {job['queue']} {job['id']}", job["deadAt"])
        evidence = waits(service, job, facts)
        return _of(order, evidence, f"oms payments resolve {order['id']}", job["failingSince"] or job["createdAt"])
    return None


def waits(service: str, job: Json, facts: Facts) -> str:
    """Return the evidence for a call that is still to be made."""
    if job["queue"] in facts.conditions.get(service, {}).get("pausedQueues", ()):
        why = f"the provider is at fault, and the queue paused; last error: {job['lastError'] or 'none of this one'}"
    else:
        why = f"{job['failedCalls']} calls have failed; last error: {job['lastError'] or 'none'}"
    return f"its {job['queue']} waits for the gateway: {why}"


def unsent(order: Json, facts: Facts) -> Finding | None:
    """Return the finding for an event about the order that is not sent yet, if there is one."""
    for service, row in facts.about("unsent", order["id"]):
        evidence = f"{row['topic']} waits in the outbox of {service}: Kafka is away, or no relay leads"
        return _of(order, evidence, f"{RUNBOOKS}/OmsOutboxStuck.md", row["createdAt"])
    return None


def _consumer(order: Json, facts: Facts) -> Finding | None:
    return reading(_next(order, facts))(order, facts)


def reading(service: str) -> Callable[[Json, Facts], Finding | None]:
    """Return the check whether a service consumes its events."""
    return partial(_consumes, service)


def _consumes(service: str, order: Json, facts: Facts) -> Finding | None:
    replica = consumption.of_replica(service, facts.conditions.get(service, {}))
    group = consumption.of_group(service, facts.evidence.get(service, {}))
    return next((_of(order, evidence, command) for evidence, command in chain(replica, group)), None)


def unreachable(order: Json, facts: Facts) -> Finding | None:
    """Return the finding for services that might have evidence, but did not answer."""
    concerned = {"order", "payment", _next(order, facts)}
    missing = [service for service in FLOW if service in concerned and service not in facts.evidence]
    if not missing:
        return None
    evidence = f"there may be evidence that {' and '.join(missing)} did not give: no answer of the admin API"
    return _of(order, evidence, f"{RUNBOOKS}/OmsServiceDown.md")


def _lost(order: Json, facts: Facts) -> Finding:
    states = ", ".join(f"{service}: {facts.state(service, order['id']) or 'unknown'}" for service in FLOW)
    evidence = f"no evidence anywhere, so that an event to {_next(order, facts)} must be lost ({states})"
    if order["status"] == "CANCELLING":
        return _of(order, evidence, f"{RUNBOOKS}/OmsOrdersStuck.md")
    return _of(order, evidence, f"oms order cancel {order['id']}, and the customer gets everything back")


def _next(order: Json, facts: Facts) -> str:
    """Return the service that has not done its part yet, or does not know that others have."""
    payment, allocation = (facts.state(service, order["id"]) for service in ("payment", "inventory"))
    if payment is None:
        return "payment"
    if order["step"] == "refund":
        return "order" if payment in ("REFUNDED", "FAILED") else "payment"
    if payment == "COMPLETED" and allocation is None:
        return "inventory"
    return "order"


def _of(order: Json, evidence: str, command: str, since: str | None = None) -> Finding:
    return Finding(f"order {order['id']}", order["step"], since or order["updatedAt"], evidence, command)
