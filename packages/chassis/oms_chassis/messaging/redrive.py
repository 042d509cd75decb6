"""Redrives a dead letter: applies its event after all, as the consumer would have, and at most once."""

from collections.abc import Sequence

from oms_chassis.db import Transaction
from oms_chassis.failures import is_unavailable
from oms_chassis.messaging import deadletterstore, inbox
from oms_chassis.messaging.faults import name
from oms_chassis.messaging.subscription import Subscription
from oms_chassis.statements import Row
from oms_chassis.telemetry import tracing


class StillFails(Exception):
    """The event cannot be applied yet. Its text is the class of the error."""


def redrive(transaction: Transaction, subscriptions: Sequence[Subscription], letter: Row) -> bool:
    """Apply the event of a letter, and settle the letter; return False if the event had been applied before.

    Raises StillFails, or SQLAlchemyError while the database is unavailable: the caller must roll this transaction back
    then.
    """
    try:
        is_fresh = _apply(transaction, subscriptions, letter)
    except Exception as error:
        if is_unavailable(error):
            raise
        raise StillFails(name(error)) from error
    deadletterstore.settle(transaction, letter.id, deadletterstore.REDRIVEN)
    return is_fresh


def _apply(transaction: Transaction, subscriptions: Sequence[Subscription], letter: Row) -> bool:
    subscription = next((one for one in subscriptions if one.topic.name == letter.topic), None)
    if subscription is None:
        raise LookupError("nobody reads this topic any more")
    event = subscription.topic.decode(bytes(letter.value or b""))
    fresh = inbox.deduplicate(transaction, [event])
    if fresh:
        with tracing.within(event.traceparent):
            subscription.handle(transaction, fresh)
    return bool(fresh)
