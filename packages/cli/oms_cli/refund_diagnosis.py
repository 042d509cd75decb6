"""Finds out why refunds wait or have failed, as diagnosis.py does for orders."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from oms_cli.client import Json
from oms_cli.consumption import RUNBOOKS
from oms_cli.diagnosis import (
    Facts,
    Finding,
    dead_letter,
    quarantined,
    reading,
    unreachable,
    unsent,
    waits,
)

Check = Callable[[Json, Facts], Finding | None]


def of_refund(refund: Json, facts: Facts) -> Finding:
    """Return why this refund waits (the first cause for which there is evidence), or why it has failed. Payment may
    know more about a failed one: that it is being retried, or has succeeded."""
    known = facts.state("payment", refund["id"])
    if refund["status"] == "FAILED" and known == "SUCCEEDED":
        return next(_unread(refund, facts), None) or _lost(refund)
    if refund["status"] == "FAILED" and known != "PENDING":
        return _finding(refund, f"it has failed: {refund['failure']}", _repair(refund))
    return next(_causes(refund, facts), None) or _undecided(refund)


def of_compensation(payment: Json) -> Finding:
    """Return why the money of this order, which is CANCELLING or CANCELLED, is not back."""
    evidence = "the gateway took the refund of its money, and that came to nothing"
    command = f"oms payments retry-refund {payment['orderId']}"
    if payment["reason"] == "failed-too-often":
        evidence, command = f"{evidence}, ten times", f"{RUNBOOKS}/OmsCompensationFailed.md"
    return Finding(f"order {payment['orderId']}", "refund", payment["updatedAt"], evidence, command)


def _causes(refund: Json, facts: Facts) -> Iterator[Finding]:
    yield from _as_of_an_order(refund, facts, dead_letter, quarantined)
    for service, job in facts.about("jobs", refund["orderId"]):
        if str(job["id"]).endswith(f":{refund['id']}"):
            yield _finding(refund, waits(service, job, facts), _resolve(refund))
    yield from _as_of_an_order(refund, facts, unsent, reading("payment"), reading("order"), unreachable)


def _unread(refund: Json, facts: Facts) -> Iterator[Finding]:
    """Yield what keeps the order service from reading what payment has published."""
    yield from _as_of_an_order(refund, facts, dead_letter, quarantined, unsent, reading("order"))


def _as_of_an_order(refund: Json, facts: Facts, *checks: Check) -> Iterator[Finding]:
    """Yield what holds up the refund's order, and so the refund."""
    waiting = {"id": refund["orderId"], "step": "refund", "updatedAt": refund["since"]}
    found = (check(waiting, facts) for check in checks)
    yield from (replace(finding, what=_what(refund)) for finding in found if finding is not None)


def _undecided(refund: Json) -> Finding:
    evidence = "no evidence anywhere: the gateway has not decided yet, or an event is lost, and is asked for again"
    return _finding(refund, evidence, f"{RUNBOOKS}/OmsRefundsStuck.md")


def _lost(refund: Json) -> Finding:
    evidence = "payment says that it was made, and the order that it has failed: the event that says so is lost"
    return _finding(refund, evidence, _resolve(refund))


def _repair(refund: Json) -> str:
    """Return the command that helps. A retry only helps if the gateway refused the refund, or it was sent back."""
    if refund["failure"] in ("gateway-refused", "gateway-failed"):
        return f"oms payments retry-refund {refund['orderId']} --refund {refund['id']}"
    return f"{RUNBOOKS}/OmsRefundsFailed.md"


def _resolve(refund: Json) -> str:
    return f"oms payments resolve {refund['orderId']} --refund {refund['id']}"


def _what(refund: Json) -> str:
    return f"refund {refund['id']} of order {refund['orderId']}"


def _finding(refund: Json, evidence: str, command: str) -> Finding:
    return Finding(_what(refund), "refund", refund["since"], evidence, command)
