"""Spans leave the process where an address for them is given."""

from collections.abc import Callable

from oms_chassis.settings import Settings
from oms_chassis.telemetry import spans
from oms_chassis.telemetry.metrics import Metrics


def start(service: str, settings: Settings, metrics: Metrics) -> Callable[[], None]:
    """Export the process's spans, if they are wanted; what ends it, having sent the last of them."""
    if settings.traces_endpoint is None:
        return lambda: None
    # Its libraries are as large as a web framework; a process without an address for spans does without them.
    from oms_chassis.telemetry.otlp import Exporter

    exporter = Exporter(service, settings.traces_endpoint, metrics.spans)
    spans.configure(exporter.export, settings.traces_ratio)
    return exporter.close
