"""W3C trace context (w3.org/TR/trace-context): a request's trace id follows its order through every event and log line.

Only the `traceparent` is passed on, whether steps are recorded (`spans`) or not.
"""

import re
from contextlib import AbstractContextManager
from contextvars import ContextVar
from random import getrandbits, random

_SHAPE = re.compile(r"^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$")
_current: ContextVar[str | None] = ContextVar("traceparent", default=None)
_ratio = 1.0


def sample(ratio: float) -> None:
    """Set the share of the traces beginning in this process that are sampled. The default is all."""
    global _ratio
    _ratio = ratio


def start(*, sampled: bool | None = None) -> str:
    """Begin a trace. It is sampled at random, unless `sampled` says."""
    sampled = random() < _ratio if sampled is None else sampled  # noqa: S311 - which are recorded is no secret
    # Not secret: the system's generator would let other threads run at every call, and return late.
    return f"00-{getrandbits(128) | 1:032x}-{_span()}-{'01' if sampled else '00'}"


def child(parent: str | None) -> str:
    """Return the next step of a trace, or a new trace if the parent is missing or malformed."""
    if parent is None or not _SHAPE.match(parent):
        return start()
    return f"{parent[:36]}{_span()}{parent[52:]}"


def passed_on(step: str | None) -> str:
    """Return the step as the parent of its successors, or a new trace if it is missing or malformed."""
    return step if step is not None and _SHAPE.match(step) else start()


def _span() -> str:
    return f"{getrandbits(64) | 1:016x}"


def trace_id(traceparent: str) -> str:
    """Return the part that all steps of a trace share."""
    return traceparent[3:35]


def span_id(traceparent: str) -> str:
    """Return the part that identifies this step."""
    return traceparent[36:52]


def is_sampled(traceparent: str) -> bool:
    """Whether the trace is sampled, as the service or client that began it decided."""
    return bool(int(traceparent[53:55], 16) & 1)


def field(traceparent: str | None) -> dict[str, str]:
    """Return the trace fields for a log line about one event of a batch, which replace the batch's."""
    if not traceparent or not _SHAPE.match(traceparent):
        return {}
    return {"trace_id": trace_id(traceparent), "span_id": span_id(traceparent)}


def current() -> str | None:
    """Return the trace that the running code belongs to."""
    return _current.get()


class _Block:
    """A block that belongs to a step. A class, because a generator takes more than twice as long, and every call has a
    block."""

    __slots__ = ("_step", "_token")

    def __init__(self, step: str) -> None:
        self._step = step

    def __enter__(self) -> str:
        self._token = _current.set(self._step)
        return self._step

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)


def within(traceparent: str | None) -> AbstractContextManager[str]:
    """Run a block as the next step of a trace."""
    return _Block(child(traceparent))


def entered(step: str) -> AbstractContextManager[str]:
    """Run a block as a step that already has an id."""
    return _Block(step)
