"""OpenTelemetry's own collector, if it is installed, which forwards the spans to the collector of the tests."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from oms_servers.ports import answers, free_port
from support.chassis import eventually
from support.collector import Collector

PROGRAM = shutil.which("otelcol") or shutil.which("otelcol-contrib")

_CONFIGURATION = """
receivers: {{otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{port}"}}}}}}}}
exporters: {{otlphttp: {{endpoint: "{url}", sending_queue: {{enabled: false}}}}}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{traces: {{receivers: [otlp], exporters: [otlphttp]}}}}
"""


@contextmanager
def in_front_of(collector: Collector, folder: Path) -> Iterator[Collector]:
    """Yield the collector with the address of an OpenTelemetry collector in front of it; without one, with its own."""
    if PROGRAM is None:
        yield collector
        return
    port, configuration = free_port(), folder / "otelcol.yaml"
    configuration.write_text(_CONFIGURATION.format(port=port, url=collector.url))
    with (folder / "otelcol.log").open("wb") as log:
        running = subprocess.Popen([PROGRAM, "--config", str(configuration)], stdout=log, stderr=log)
        try:
            eventually(lambda: answers(port))
            yield replace(collector, url=f"http://127.0.0.1:{port}")
        finally:
            running.terminate()
            running.wait(30)
