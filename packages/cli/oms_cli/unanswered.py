"""The errors of requests without an answer: whether a request may have been carried out, and what to do next.

Unanswered
├── Unreachable      nothing received the request: it was not carried out
├── NoAnswer         the request only reads, and its answer was lost
└── OutcomeUnknown   the request was sent, its answer was lost, and it may have been carried out
"""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx2

from oms_cli import connections
from oms_cli.answers import Refused
from oms_servers.errors import LocalError

# Errors that occur before any byte of a request is sent.
_NOT_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
)
_NO_ADDRESS = (httpx2.UnsupportedProtocol, httpx2.InvalidURL)
_PROXYS = (502, 504)  # a proxy's answer if the service has not answered it
FAILURES = (httpx2.HTTPError, httpx2.InvalidURL)
_TRUST = "SSL_CERT_FILE names a file with the certificates (PEM) that are trusted; or is its address an http:// one?"
_LOOK_FIRST = "It may have been. Look before you repeat it: a repetition may do it twice"


class Unanswered(LocalError):
    """There was no answer."""


class Unreachable(Unanswered):
    """Nothing answers at a URL."""


class NoAnswer(Unanswered):
    """A request that only reads was sent, and its answer did not arrive, or not completely."""


class OutcomeUnknown(Unanswered):
    """A request was sent, and it is not known whether it was carried out."""


def looks(method: str) -> bool:
    """Whether requests with this method only read."""
    return method in {"GET", "HEAD"}


def of(error: Exception, what: str, unreachable: Unreachable, *, only_looks: bool) -> Unanswered:
    """Return the error for a failure of HTTP. If the request was never sent, it is `unreachable`."""
    what, why = connections.shown(what), type(error).__name__
    if isinstance(error, _NO_ADDRESS):
        return Unreachable(f"{what} is not an http:// or https:// address", unreachable.advice)
    if distrust := connections.distrust(error):
        return Unreachable(f"{what} cannot be reached by TLS ({distrust})", _TRUST)
    if isinstance(error, _NOT_SENT):
        return unreachable
    if only_looks:
        return NoAnswer(f"{what} has not answered to the end ({why})", "Repeat the command: it only looks")
    return OutcomeUnknown(f"It is not known whether {what} has carried it out: its answer is lost ({why})", _LOOK_FIRST)


def unreachable(url: str) -> Unreachable:
    """Return the error if nothing answers at this URL."""
    advice = "`make up` starts OMS on this machine; OMS_URL, OMS_INVENTORY_URL and OMS_MAILCATCHER_URL name another"
    return Unreachable(f"{connections.shown(url)} does not answer", advice)


def is_open(error: LocalError) -> bool:
    """Whether the request may have been carried out, or still may be."""
    if isinstance(error, Refused):
        return error.kind == "outcome-unknown" or error.status in _PROXYS
    return isinstance(error, OutcomeUnknown)


@contextmanager
def advising(advice: str) -> Iterator[None]:
    """Add advice to the error if the outcome of a request in the block stays unknown."""
    try:
        yield
    except LocalError as error:
        if is_open(error):
            error.advice = advice
        raise
