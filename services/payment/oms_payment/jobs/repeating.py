"""Calls to the gateway that are to be made again."""

from oms_chassis.jobs.queue import Retry, Unavailable
from oms_gateway import GatewayUnavailable, Retryable


def again(error: Retryable) -> Retry:
    """What becomes of a call that ended so: a gateway that took nothing is at fault itself, and not this one call."""
    kind = Unavailable if isinstance(error, GatewayUnavailable) else Retry
    return kind(type(error).__name__)
