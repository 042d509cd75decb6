"""Records spans: what each step of a trace was, and how long it took (opentelemetry.io/docs/concepts/signals/traces).

They are recorded only if an exporter is configured and the trace is sampled; otherwise a step costs no more than its
id.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from oms_chassis.telemetry import tracing

Kind = Literal["server", "consumer", "client", "internal"]


@dataclass(frozen=True)
class Span:
    """One step. Times are nanoseconds since 1970; `step`, `parent` and `links` are traceparents."""

    name: str
    kind: Kind
    step: str
    parent: str | None
    began: int
    ended: int
    failed: bool = False
    attributes: Mapping[str, str | int] = field(default_factory=dict)
    links: Sequence[str] = ()


Export = Callable[[Span], None]
_export: Export | None = None


def configure(export: Export | None, ratio: float = 1.0) -> None:
    """Pass each span of a sampled trace to `export`. `ratio` is the share of the traces beginning in this process that
    are sampled."""
    global _export
    _export = export
    tracing.sample(ratio)


def are_on() -> bool:
    """Whether spans are exported."""
    return _export is not None


def record(
    name: str,
    kind: Kind,
    step: str,
    parent: str | None,
    began: int,
    *,
    failed: bool = False,
    links: Sequence[str] = (),
    attributes: Mapping[str, str | int] = {},
) -> None:
    """Record a step that has ended. A parent of another trace, which a malformed header leads to, is left out."""
    if _export is None or not tracing.is_sampled(step):
        return
    known = parent if parent is not None and tracing.trace_id(parent) == tracing.trace_id(step) else None
    _export(Span(name, kind, step, known, began, time.time_ns(), failed, attributes, links))
