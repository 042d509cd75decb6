"""Exports spans if an endpoint for them is set."""

from collections.abc import Callable

from oms_chassis.settings import Settings
from oms_chassis.telemetry import spans
from oms_chassis.telemetry.metrics import Metrics


def start(service: str, settings: Settings, metrics: Metrics) -> Callable[[], None]:
    """Start to export the process's spans, if they are wanted. Return a function that sends the last of them and
    stops."""
    if settings.traces_endpoint is None:
        return lambda: None
    # Imported here because its libraries are as large as a web framework, and not every process exports spans.
    from oms_chassis.telemetry.otlp import Exporter

    exporter = Exporter(service, settings.traces_endpoint, metrics.spans)
    spans.configure(exporter.export, settings.traces_ratio)
    return exporter.close
