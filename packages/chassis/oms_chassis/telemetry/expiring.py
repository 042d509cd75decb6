"""Gauges whose values expire: their source may be unavailable, or the loop that sets them may hang."""

import time
from collections.abc import Iterable
from typing import Any

from prometheus_client import Gauge
from prometheus_client.samples import Sample


class ExpiringGauge(Gauge):
    """A gauge that has a value for `seconds` after it was set. After that it has none, or `otherwise`."""

    def __init__(self, *args: Any, seconds: float, otherwise: float | None = None, **kwargs: Any) -> None:
        self._seconds, self._otherwise, self._set_at = seconds, otherwise, float("-inf")
        super().__init__(*args, **kwargs)
        self._kwargs.update(seconds=seconds, otherwise=otherwise)  # for the children, one per set of labels

    @property
    def is_current(self) -> bool:
        """Whether it was set recently."""
        return time.monotonic() - self._set_at < self._seconds

    def set(self, value: float) -> None:
        """Show this value from now on, until it expires."""
        super().set(value)
        self._set_at = time.monotonic()

    def _child_samples(self) -> Iterable[Sample]:
        if self.is_current:
            return super()._child_samples()
        return () if self._otherwise is None else (Sample("", {}, self._otherwise, None, None),)
