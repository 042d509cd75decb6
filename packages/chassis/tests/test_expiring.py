"""Gauges whose values are current, or missing."""

import pytest
from prometheus_client import CollectorRegistry
from support.chassis import eventually

from oms_chassis.telemetry.expiring import ExpiringGauge

LABELS = {"queue": "a"}


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def test_a_value_that_is_not_set_again_expires(registry: CollectorRegistry) -> None:
    gauge = ExpiringGauge("waiting", "How many wait", ["queue"], seconds=0.5, registry=registry)
    assert registry.get_sample_value("waiting", LABELS) is None
    gauge.labels("a").set(3)
    assert registry.get_sample_value("waiting", LABELS) == 3.0
    eventually(lambda: registry.get_sample_value("waiting", LABELS) is None)
    gauge.labels("a").set(0)
    assert registry.get_sample_value("waiting", LABELS) == 0.0


def test_a_gauge_of_a_running_loop_falls_to_its_default_if_the_loop_hangs(registry: CollectorRegistry) -> None:
    gauge = ExpiringGauge("running", "1 while it runs", seconds=0.5, otherwise=0.0, registry=registry)
    assert registry.get_sample_value("running") == 0.0
    gauge.set(1)
    assert registry.get_sample_value("running") == 1.0
    eventually(lambda: registry.get_sample_value("running") == 0.0)
