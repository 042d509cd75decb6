"""W3C trace context (w3.org/TR/trace-context): a request's trace id follows its order through every event and log line.

Only the `traceparent` travels; spans are not recorded here, so that any collector can run next to the services.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from random import getrandbits

_SHAPE = re.compile(r"^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$")
_current: ContextVar[str | None] = ContextVar("traceparent", default=None)


def start() -> str:
    """A new trace."""
    # No secret: the system's generator lets other threads in at every call, and comes back late.
    return f"00-{getrandbits(128) | 1:032x}-{_span()}-01"


def child(parent: str | None) -> str:
    """The next step of a trace, or a new trace where the parent is missing or malformed."""
    if parent is None or not _SHAPE.match(parent):
        return start()
    return f"{parent[:36]}{_span()}{parent[52:]}"


def _span() -> str:
    return f"{getrandbits(64) | 1:016x}"


def trace_id(traceparent: str) -> str:
    """The part that all steps of a trace share."""
    return traceparent[3:35]


def field(traceparent: str | None) -> dict[str, str]:
    """What a log line about one event of a batch says of its trace, in place of the batch's."""
    return {"trace_id": trace_id(traceparent)} if traceparent and _SHAPE.match(traceparent) else {}


def current() -> str | None:
    """The trace that the running code belongs to."""
    return _current.get()


@contextmanager
def within(traceparent: str | None) -> Iterator[str]:
    """Run a block as the next step of a trace."""
    step = child(traceparent)
    token = _current.set(step)
    try:
        yield step
    finally:
        _current.reset(token)
