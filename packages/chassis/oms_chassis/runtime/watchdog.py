"""The watchdog: detects loops of a service's threads that hang."""

import time
from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Gauge


class Watchdog:
    """Watches the heartbeats of loops. `beats` returns the last one of each thread, on the monotonic clock."""

    def __init__(self, beats: Callable[[], Mapping[str, float]], seconds: float, registry: CollectorRegistry) -> None:
        self._beats, self._seconds = beats, seconds
        self._last = Gauge(
            "oms_thread_last_progress_timestamp_seconds",
            "Unix time of the last iteration of a thread's loop",
            ["thread"],
            registry=registry,
        )

    def stalled(self) -> list[str]:
        """Return the threads whose loop has made no progress for too long."""
        now = time.monotonic()
        return [name for name, at in self._beats().items() if now - at > self._seconds]

    def measure(self) -> None:
        """Update the gauge."""
        ahead = time.time() - time.monotonic()
        for name, at in self._beats().items():
            self._last.labels(name).set(at + ahead)
