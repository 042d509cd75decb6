"""Whether the loops that a service lives by still come around: one that hangs is not to be seen otherwise."""

import time
from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Gauge


class Progress:
    """Looks at when each loop last came around. `turns` gives the moments on the monotonic clock, by thread."""

    def __init__(self, turns: Callable[[], Mapping[str, float]], seconds: float, registry: CollectorRegistry) -> None:
        self._turns, self._seconds = turns, seconds
        self._last = Gauge(
            "oms_thread_last_progress_timestamp_seconds",
            "When the loop of a thread last came around, as a Unix time",
            ["thread"],
            registry=registry,
        )

    def stalled(self) -> list[str]:
        """The threads whose loop has not come around for too long."""
        now = time.monotonic()
        return [name for name, at in self._turns().items() if now - at > self._seconds]

    def measure(self) -> None:
        """Bring the gauge up to date."""
        ahead = time.time() - time.monotonic()
        for name, at in self._turns().items():
            self._last.labels(name).set(at + ahead)
