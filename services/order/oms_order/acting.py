"""What is done to an order by a request: the order's row decides, while it is locked; a key gets its first answer."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from oms_chassis.db import Transaction
from oms_chassis.http.identity.callers import Caller
from oms_order import idempotency
from oms_order.domain import Order
from oms_order.fingerprints import ActFingerprint
from oms_order.idempotency import Answer
from oms_order.problems import IdempotencyKeyReused, OrderNotFound
from oms_order.repository import answers, orders


@dataclass(frozen=True)
class Asked:
    """Who asks for something to be done to which order, and by what a repetition is known."""

    order_id: UUID
    caller: Caller
    key: str | None
    fingerprint: ActFingerprint


def answer(transaction: Transaction, asked: Asked, act: Callable[[Order], str]) -> Answer:
    """What `act` makes of the caller's order, which is locked, or what the key was answered before. Raises Problem."""
    order = _locked(transaction, asked.order_id, asked.caller.owner)
    if asked.key is None:
        return Answer(order.id, act(order))
    scope, key = asked.caller.namespace, idempotency.check(asked.key)
    for row in answers.find(transaction, scope, key):
        if not asked.fingerprint.matches(row.fingerprint):
            raise IdempotencyKeyReused
        return Answer(order.id, row.answer, replayed=True)
    made = act(order)
    if not answers.keep(transaction, scope, key, asked.fingerprint.value, asked.order_id, made):
        raise IdempotencyKeyReused
    return Answer(order.id, made)


def _locked(transaction: Transaction, order_id: UUID, owner: str | None) -> Order:
    found = orders.lock(transaction, [str(order_id)], owner)
    if not found:
        raise OrderNotFound
    return found[str(order_id)]
