"""Spans go to the collector that the values name, from every service, and nowhere without one."""

from typing import Any

import pytest

from oms_contracts.topics import SERVICES

COLLECTOR = {"tracing.endpoint": "http://collector.monitoring:4318"}


def test_every_service_sends_its_spans_to_the_collector(render: Any) -> None:
    rendered = render({**COLLECTOR, "tracing.ratio": 0.25})
    for service in SERVICES:
        settings = rendered.settings(service)
        assert (settings.traces_endpoint, settings.traces_ratio) == ("http://collector.monitoring:4318", 0.25)


def test_no_spans_are_sent_by_default(render: Any) -> None:
    assert all(render().settings(service).traces_endpoint is None for service in SERVICES)


@pytest.mark.parametrize(("endpoint", "port"), [("http://collector.x:4318", 4318), ("https://otlp.example.com/x", 443)])
def test_the_collector_can_be_reached(endpoint: str, port: int, render: Any) -> None:
    policies = render({"tracing.endpoint": endpoint}).of("NetworkPolicy")
    rule = {"ports": [{"protocol": "TCP", "port": port}]}
    assert all(rule in policies[f"oms-{service}"]["spec"]["egress"] for service in SERVICES)


def test_the_egress_to_the_collector_can_be_narrowed_down(render: Any) -> None:
    rule = {"to": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}], "ports": [{"port": 4318}]}
    policies = render({**COLLECTOR, "tracing.egress": [rule]}).of("NetworkPolicy")
    assert rule in policies["oms-order"]["spec"]["egress"]


@pytest.mark.parametrize("values", [{"tracing.endpoint": "collector:4318"}, {"tracing.ratio": 2}])
def test_invalid_values_are_refused(values: dict[str, Any], helm: Any) -> None:
    assert "tracing" in helm.refusal(values)
