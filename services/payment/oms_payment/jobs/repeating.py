"""Repeats calls to the gateway, and waits for refunds that are pending there."""

from oms_chassis.jobs.queue import Job, Paused, Retry, Unavailable, Waiting
from oms_gateway import Gateway, GatewayClosed, GatewayUnavailable, RefundStatus, Retryable

MOST_KEYS = 10  # per refund: a job queries no more of them at the gateway
FIRST_WAIT, LONGEST_WAIT = 5.0, 900.0  # seconds until a pending refund is queried again


def again(error: Retryable) -> Retry | Paused:
    """The outcome for an error. If the gateway did not accept the call at all, it is at fault, not the call."""
    if isinstance(error, GatewayClosed):
        return Paused(f"gateway: {error.answer}", error.seconds)
    kind = Unavailable if isinstance(error, GatewayUnavailable) else Retry
    return kind(type(error).__name__)


def wait(job: Job, key: str | None = None) -> Waiting:
    """Query a pending refund again later, by its key if it has one of its own: it may take days."""
    seconds = min(FIRST_WAIT * 2.0 ** min(job.attempts - 1, 16), LONGEST_WAIT)
    return Waiting(seconds, {} if key is None else {"key": key})


def unused(gateway: Gateway, key: str) -> str | None:
    """The key for a refund that an operator retries: the first under which neither a refund nor its remainder has
    failed. None if MOST_KEYS have failed: the money has to be returned in another way.

    The gateway's records are queried, so that a repeated call finds the same key, and the money is refunded once.
    """
    keys = [key, *(f"{key}~{number}" for number in range(2, MOST_KEYS + 1))]
    free = (one for one in keys if not any(_has_failed(gateway, used) for used in (one, remainder(one))))
    return next(free, None)


def remainder(key: str) -> str:
    """The key for refunding what is left after somebody has refunded a part by hand."""
    return f"{key}-remainder"


def _has_failed(gateway: Gateway, key: str) -> bool:
    found = gateway.find_refund(key)
    return found is not None and found.status is RefundStatus.FAILED
