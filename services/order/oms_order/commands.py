"""Commands on an existing order, such as cancelling it. The order is locked while a command is executed, and an
idempotency key gets the answer of its first request."""

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
class Command:
    """Which order a command is for, who sent it, and how a repetition of it is recognised."""

    order_id: UUID
    caller: Caller
    key: str | None
    fingerprint: ActFingerprint


def execute(transaction: Transaction, command: Command, act: Callable[[Order], str]) -> Answer:
    """Call `act` with the locked order and return its answer, or repeat the answer that the key got before.

    Raises Problem.
    """
    order = _locked(transaction, command.order_id, command.caller.owner)
    if command.key is None:
        return Answer(order.id, act(order))
    scope, key = command.caller.namespace, idempotency.check(command.key)
    for row in answers.find(transaction, scope, key):
        if not command.fingerprint.matches(row.fingerprint):
            raise IdempotencyKeyReused
        return Answer(order.id, row.answer, replayed=True)
    made = act(order)
    if not answers.keep(transaction, scope, key, command.fingerprint.value, command.order_id, made):
        raise IdempotencyKeyReused
    return Answer(order.id, made)


def _locked(transaction: Transaction, order_id: UUID, owner: str | None) -> Order:
    found = orders.lock(transaction, [str(order_id)], owner)
    if not found:
        raise OrderNotFound
    return found[str(order_id)]
