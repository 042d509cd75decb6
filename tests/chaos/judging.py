"""Judges a run by more than the invariants: by the answers to its clients, and by how long things took."""

import math
import time
from collections.abc import Sequence
from datetime import datetime
from typing import cast

from incidents.probe import Probe

from chaos import cards
from chaos.clients import Seen
from chaos.excuses import Excuses
from chaos.report import Recovery, Report

NO_EXCUSES = Excuses()
_NOT_CANCELLED = "SELECT id::text FROM orders WHERE id::text = ANY(%s) AND status <> 'CANCELLED'"
_NOT_CONFIRMED = "SELECT id::text FROM orders WHERE id::text = ANY(%s) AND status <> 'CONFIRMED'"
# Orders from before the run are not judged.
_NOT_PAID = """
SELECT id::text, split_part(card_token, '-', 3), placed_at FROM orders
WHERE reason IN ('payment-declined', 'payment-unavailable') AND id <> ALL(%s::uuid[])
"""
_FAILED = """
SELECT refund.id::text, coalesce(failure, 'nothing'), split_part(card_token, '-', 3)
FROM refund JOIN orders ON orders.id = order_id
WHERE refund.status = 'FAILED' AND orders.id <> ALL(%s::uuid[])
"""


def judge(
    probe: Probe,
    seen: Seen,
    survived: Sequence[Recovery],
    recovered: float,
    answered: float = math.inf,
    *,
    before: Sequence[str] = (),
    excuses: Excuses = NO_EXCUSES,
) -> list[str]:
    """Return the violations, each with the name of its rule. A recovery may take `recovered` seconds, an answer
    `answered`; `before` are earlier orders, and `excuses` the faults because of which the gateway fails."""
    slow = [f"it took {one.seconds} s" for one in survived if one.seconds > recovered]
    late = [f"an answer took {seen.slowest:.1f} s"] if seen.slowest > answered else []
    return [
        *named("answers-are-right", seen.wrong),
        *named("answers-come-in-time", late),
        *named("the-system-recovers", slow),
        *named("cancellations-are-kept", [*_not_cancelled(probe, seen), *_not_confirmed(probe, seen)]),
        *named("refunds-fail-for-a-reason", _failed_for_nothing(probe, seen, before, excuses)),
        *named("payments-fail-for-a-reason", _not_paid(probe, before, excuses)),
    ]


def report(
    probe: Probe,
    seen: Seen,
    survived: list[Recovery],
    broken: list[str],
    *,
    seed: int,
    rate: float,
    began: float,
    before: Sequence[str] = (),
) -> Report:
    """Return the report of a run that began at this monotonic time, with orders that existed `before`."""
    return Report(
        seed=seed,
        rate=rate,
        lasted=round(time.monotonic() - began, 1),
        accepted=len({answer.order_id for answer in seen.answers}),
        cancelled=len(seen.cancelled),
        refused=sum(seen.refusals.values()),
        in_doubt=sum(client.in_doubt for client in seen.unanswered),
        answered=round(seen.slowest, 1),
        rounds=survived,
        broken=broken,
        refunds=len(seen.refunds),
        failed=len(probe.rows(_FAILED, list(before))),
    )


def named(rule: str, found: Sequence[str]) -> list[str]:
    """Name violations as the checker does."""
    return [f"{rule}: {one}" for one in found]


def _not_cancelled(probe: Probe, seen: Seen) -> list[str]:
    rows = probe.rows(_NOT_CANCELLED, sorted(seen.cancelled))
    return [f"{order_id}: its cancellation was accepted, and it is not cancelled" for (order_id,) in rows]


def _not_confirmed(probe: Probe, seen: Seen) -> list[str]:
    rows = probe.rows(_NOT_CONFIRMED, sorted(seen.too_late))
    return [f"{order_id}: it was too late to cancel it, and it is not confirmed" for (order_id,) in rows]


def _not_paid(probe: Probe, before: Sequence[str], excuses: Excuses) -> list[str]:
    """Return the payments that failed although neither their card nor a fault of the gateway explains that."""
    return [
        f"{order_id}: the payment by a card that is {card} failed"
        for order_id, card, placed in probe.rows(_NOT_PAID, list(before))
        if card not in cards.NOT_CHARGED and not excuses.charge(cast("datetime", placed))
    ]


def _failed_for_nothing(probe: Probe, seen: Seen, before: Sequence[str], excuses: Excuses) -> list[str]:
    """Return the refunds that failed although neither their card nor a fault of the gateway explains that."""
    return [
        f"{id_}: a refund to a card that is {card} failed for {why}"
        for id_, why, card in probe.rows(_FAILED, list(before))
        if why == "nothing" or not (card in cards.NOT_REFUNDED or excuses.refund(seen.refunding.get(str(id_))))
    ]
