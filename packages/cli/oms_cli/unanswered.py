"""What is said when no answer comes: whether the request can have been carried out, and how to go on.

Unanswered
├── Unreachable      nothing took the request: it was not carried out
├── NoAnswer         it only looks, and its answer was lost
└── OutcomeUnknown   it was sent, its answer was lost, and it may have been carried out
"""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx2

from oms_cli import connections
from oms_cli.answers import Refused
from oms_servers.errors import LocalError

# Those before which no byte of a request has left.
_NOT_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
)
_NO_ADDRESS = (httpx2.UnsupportedProtocol, httpx2.InvalidURL)
_PROXYS = (502, 504)  # what a proxy says of a service that has not answered it
FAILURES = (httpx2.HTTPError, httpx2.InvalidURL)
_TRUST = "SSL_CERT_FILE names a file with the certificates (PEM) that are trusted; or is its address an http:// one?"
_LOOK_FIRST = "It may have been. Look before you repeat it: a repetition may do it twice"


class Unanswered(LocalError):
    """No answer has come."""


class Unreachable(Unanswered):
    """Nothing answers at a URL."""


class NoAnswer(Unanswered):
    """A request that only looks was sent, and its answer did not come, or not to its end."""


class OutcomeUnknown(Unanswered):
    """A request was sent, and it is not known whether it was carried out."""


def looks(method: str) -> bool:
    """Whether such a request only looks, whatever it asks for."""
    return method in {"GET", "HEAD"}


def of(error: Exception, what: str, unreachable: Unreachable, *, only_looks: bool) -> Unanswered:
    """What is said of a failure of HTTP: that of a request which was never sent is `unreachable`."""
    what, why = connections.shown(what), type(error).__name__
    if isinstance(error, _NO_ADDRESS):
        return Unreachable(f"{what} is no http:// or https:// address", unreachable.advice)
    if distrust := connections.distrust(error):
        return Unreachable(f"{what} cannot be reached by TLS ({distrust})", _TRUST)
    if isinstance(error, _NOT_SENT):
        return unreachable
    if only_looks:
        return NoAnswer(f"{what} has not answered to the end ({why})", "Repeat the command: it only looks")
    return OutcomeUnknown(f"It is not known whether {what} has carried it out: its answer is lost ({why})", _LOOK_FIRST)


def unreachable(url: str) -> Unreachable:
    """What is said when nothing answers there."""
    advice = "`make up` starts OMS on this machine; OMS_URL, OMS_INVENTORY_URL and OMS_MAILCATCHER_URL name another"
    return Unreachable(f"{connections.shown(url)} does not answer", advice)


def is_open(error: LocalError) -> bool:
    """Whether the request may have been carried out, or may be yet."""
    if isinstance(error, Refused):
        return error.kind == "outcome-unknown" or error.status in _PROXYS
    return isinstance(error, OutcomeUnknown)


@contextmanager
def advising(advice: str) -> Iterator[None]:
    """Says how to go on, should the outcome of what the block asks for stay unknown."""
    try:
        yield
    except LocalError as error:
        if is_open(error):
            error.advice = advice
        raise
