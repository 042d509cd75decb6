"""Budgets, autoscalers, routes and network policies."""

from pathlib import Path
from typing import Any

import pytest

from oms_contracts.topics import SERVICES

CHART = Path(__file__).parents[2] / "charts" / "oms"
KEYS = ("app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component")


def test_one_replica_has_no_budget_that_would_stop_a_drain(render: Any) -> None:
    assert not render().of("PodDisruptionBudget")


def test_several_replicas_have_one(render: Any) -> None:
    budgets = render({"services.order.replicas": 3, "services.sms.autoscaling.type": "hpa"}).of("PodDisruptionBudget")
    assert budgets.keys() == {"oms-order", "oms-sms"}
    assert all(one["spec"]["maxUnavailable"] == 1 for one in budgets.values())
    assert not render({"services.order": {"replicas": 3, "pdb": {"enabled": False}}}).of("PodDisruptionBudget")


@pytest.mark.parametrize(("kind", "expected"), [("hpa", "HorizontalPodAutoscaler"), ("keda", "ScaledObject")])
def test_a_service_has_the_autoscaler_that_was_asked_for_and_no_fixed_replicas(
    render: Any, kind: str, expected: str
) -> None:
    rendered = render({"services.payment.autoscaling.type": kind})
    for one in ("HorizontalPodAutoscaler", "ScaledObject"):
        assert rendered.of(one).keys() == ({"oms-payment"} if one == expected else set())
    assert "replicas" not in rendered.of("Deployment")["oms-payment"]["spec"]
    assert rendered.of("Deployment")["oms-order"]["spec"]["replicas"] == 1


def test_keda_watches_the_lag_of_each_topic_that_is_read(render: Any) -> None:
    rendered = render({"services.payment.autoscaling.type": "keda"})
    triggers = rendered.of("ScaledObject")["oms-payment"]["spec"]["triggers"]
    assert {one["metadata"]["topic"] for one in triggers} == {"orderCreatedEvent", "inventoryRejectedEvent"}
    assert {one["metadata"]["consumerGroup"] for one in triggers} == {"payment"}
    assert {one["authenticationRef"]["name"] for one in triggers} == {"oms-payment"}
    assert "oms-payment" in rendered.of("TriggerAuthentication")


@pytest.mark.parametrize("way", ["Ingress", "HTTPRoute"])
def test_the_world_reaches_order_and_nothing_else(render: Any, way: str) -> None:
    rendered = render(
        {"ingress.enabled": way == "Ingress", "httpRoute": {"enabled": way != "Ingress", "parentRefs": [{"name": "g"}]}}
    )
    assert routes(rendered, way) == {"/order": "oms-order"}


def test_items_are_offered_on_request(render: Any) -> None:
    rendered = render({"ingress.enabled": True, "services.inventory.routes": ["/items"]})
    assert routes(rendered, "Ingress") == {"/order": "oms-order", "/items": "oms-inventory"}


def routes(rendered: Any, way: str) -> dict[str, str]:
    """Path prefixes and the services behind them; none may lead to the internal port."""
    rule = rendered.of(way)["oms"]["spec"]["rules"]
    if way == "HTTPRoute":
        assert all(one["backendRefs"][0]["port"] == 9090 for one in rule)
        return {one["matches"][0]["path"]["value"]: one["backendRefs"][0]["name"] for one in rule}
    backends = {one["path"]: one["backend"]["service"] for one in rule[0]["http"]["paths"]}
    assert all(one["port"] == {"name": "http"} for one in backends.values())
    return {path: one["name"] for path, one in backends.items()}


def test_every_pod_is_under_a_policy_for_both_directions(helm: Any, example: Path) -> None:
    rendered = helm.render(file=example)
    selectors = [one["spec"]["podSelector"]["matchLabels"].items() for one in rendered.of("NetworkPolicy").values()]
    assert all(one["spec"]["policyTypes"] == ["Ingress", "Egress"] for one in rendered.of("NetworkPolicy").values())
    for one in rendered.all:
        if one["kind"] in {"Deployment", "StatefulSet", "Job"}:
            labels = one["spec"]["template"]["metadata"]["labels"].items()
            assert sum(selector <= labels for selector in selectors) == 1, one["metadata"]["name"]


def allowed(rendered: Any, source: str, target: str) -> bool:
    """Whether `source` may connect to `target` by both of their policies; components of this release."""
    policies = rendered.of("NetworkPolicy")
    out = any(
        selects(peer, source, target)
        for rule in policies[f"oms-{source}"]["spec"]["egress"]
        for peer in rule.get("to", ())
    )
    come = [
        rule
        for rule in policies[f"oms-{target}"]["spec"]["ingress"]
        if not rule.get("from") or any(selects(peer, target, source) for peer in rule["from"])
    ]
    return out and bool(come)


def selects(peer: dict[str, Any], _: str, component: str) -> bool:
    if "podSelector" not in peer:
        return False
    selector = peer["podSelector"]
    wanted = {key: {value} for key, value in selector.get("matchLabels", {}).items()}
    wanted |= {one["key"]: set(one["values"]) for one in selector.get("matchExpressions", ())}
    return all(value in wanted.get(key, {value}) for key, value in zip(KEYS, ("oms", "oms", component), strict=True))


def test_a_service_reaches_its_own_database_and_no_other(render: Any) -> None:
    rendered = render({"kafka.mode": "embedded"})
    for source in SERVICES:
        reached = {target for target in SERVICES if allowed(rendered, source, f"{target}-postgres")}
        assert reached == {source}
        assert allowed(rendered, source, "kafka")
        assert allowed(rendered, source, "inbox") == (source in {"email", "sms"})


def test_services_reach_providers_only_where_they_are_set(render: Any) -> None:
    everywhere = {"ports": [{"protocol": "TCP", "port": 1, "endPort": 65535}]}
    rendered = render({"notifications.smtp.host": "smtp.example.com"})
    open_ones = {name for name, one in rendered.of("NetworkPolicy").items() if everywhere in one["spec"]["egress"]}
    assert open_ones == {"oms-email"}


def test_policies_can_be_left_out(render: Any) -> None:
    assert not render({"networkPolicy.enabled": False}).of("NetworkPolicy")
