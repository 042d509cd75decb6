"""Calls to the gateway that are to be made again, and refunds that it has not come to an end with."""

from oms_chassis.jobs.queue import Job, Paused, Retry, Unavailable, Waiting
from oms_gateway import Gateway, GatewayClosed, GatewayUnavailable, RefundStatus, Retryable

MOST_KEYS = 10  # that a refund has in its life: a job asks the gateway for no more of them
FIRST_WAIT, LONGEST_WAIT = 5.0, 900.0  # seconds until a refund that is pending is asked for again


def again(error: Retryable) -> Retry | Paused:
    """What becomes of a call that ended so: a gateway that took nothing is at fault itself, and not this one call."""
    if isinstance(error, GatewayClosed):
        return Paused(f"gateway: {error.answer}", error.seconds)
    kind = Unavailable if isinstance(error, GatewayUnavailable) else Retry
    return kind(type(error).__name__)


def wait(job: Job, key: str | None = None) -> Waiting:
    """Ask again later what became of a refund, under its key if it has one of its own: it may take days."""
    seconds = min(FIRST_WAIT * 2.0 ** min(job.attempts - 1, 16), LONGEST_WAIT)
    return Waiting(seconds, {} if key is None else {"key": key})


def unused(gateway: Gateway, key: str) -> str | None:
    """The key for a refund that an operator has made once more: the first under which none has failed, nor a remainder.
    None if MOST_KEYS have failed: another way has to be found.

    The gateway's books are asked, so that the same one is found whenever this is: the money goes back once.
    """
    keys = [key, *(f"{key}~{number}" for number in range(2, MOST_KEYS + 1))]
    free = (one for one in keys if not any(_has_failed(gateway, used) for used in (one, remainder(one))))
    return next(free, None)


def remainder(key: str) -> str:
    """The key of another call, for another amount: what somebody gave back by hand is not given twice."""
    return f"{key}-remainder"


def _has_failed(gateway: Gateway, key: str) -> bool:
    found = gateway.find_refund(key)
    return found is not None and found.status is RefundStatus.FAILED
