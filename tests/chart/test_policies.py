"""Budgets, autoscalers, routes and network policies."""

from pathlib import Path
from typing import Any

import pytest

from oms_contracts.topics import SERVICES, read_by

CHART = Path(__file__).parents[2] / "charts" / "oms"
KEYS = ("app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component")


def test_one_replica_has_no_budget_that_would_block_a_drain(render: Any) -> None:
    assert not render().of("PodDisruptionBudget")


def test_several_replicas_have_one(render: Any) -> None:
    budgets = render({"services.order.replicas": 3, "services.sms.autoscaling.type": "hpa"}).of("PodDisruptionBudget")
    assert budgets.keys() == {"oms-order", "oms-sms"}
    assert all(one["spec"]["maxUnavailable"] == 1 for one in budgets.values())
    assert not render({"services.order": {"replicas": 3, "pdb": {"enabled": False}}}).of("PodDisruptionBudget")


@pytest.mark.parametrize(("kind", "expected"), [("hpa", "HorizontalPodAutoscaler"), ("keda", "ScaledObject")])
def test_a_service_has_the_requested_autoscaler_and_no_fixed_replicas(render: Any, kind: str, expected: str) -> None:
    rendered = render({"services.payment.autoscaling.type": kind})
    for one in ("HorizontalPodAutoscaler", "ScaledObject"):
        assert rendered.of(one).keys() == ({"oms-payment"} if one == expected else set())
    assert "replicas" not in rendered.of("Deployment")["oms-payment"]["spec"]
    assert rendered.of("Deployment")["oms-order"]["spec"]["replicas"] == 1


def test_keda_watches_the_lag_of_each_consumed_topic(render: Any) -> None:
    rendered = render({"services.payment.autoscaling.type": "keda"})
    triggers = rendered.of("ScaledObject")["oms-payment"]["spec"]["triggers"]
    assert {one["metadata"]["topic"] for one in triggers} == set(read_by("payment"))
    assert {one["metadata"]["consumerGroup"] for one in triggers} == {"payment"}
    assert {one["authenticationRef"]["name"] for one in triggers} == {"oms-payment"}
    assert "oms-payment" in rendered.of("TriggerAuthentication")


@pytest.mark.parametrize("way", ["Ingress", "HTTPRoute"])
def test_only_order_can_be_reached_from_outside(render: Any, way: str) -> None:
    rendered = render(
        {"ingress.enabled": way == "Ingress", "httpRoute": {"enabled": way != "Ingress", "parentRefs": [{"name": "g"}]}}
    )
    assert routes(rendered, way) == {"/order": "oms-order"}


def test_items_are_exposed_on_request(render: Any) -> None:
    rendered = render({"ingress.enabled": True, "services.inventory.routes": ["/items"]})
    assert routes(rendered, "Ingress") == {"/order": "oms-order", "/items": "oms-inventory"}


def routes(rendered: Any, way: str) -> dict[str, str]:
    """Return path prefixes and the services behind them; none may lead to the internal port."""
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
    for one in rendered.of("NetworkPolicy").values():
        by_operator = "cnpg.io/cluster" in one["spec"]["podSelector"]["matchLabels"]
        assert one["spec"]["policyTypes"] == (["Ingress"] if by_operator else ["Ingress", "Egress"])
    for kind, path in (("Pod", ()), ("CronJob", ("spec", "jobTemplate", "spec", "template"))):
        for name, one in rendered.of(kind).items():
            for key in path:
                one = one[key]
            assert sum(selector <= one["metadata"]["labels"].items() for selector in selectors) == 1, name
    for one in rendered.all:
        if one["kind"] in {"Deployment", "StatefulSet", "Job"}:
            labels = one["spec"]["template"]["metadata"]["labels"].items()
            assert sum(selector <= labels for selector in selectors) == 1, one["metadata"]["name"]


@pytest.mark.parametrize(
    "values",
    [{}, {"networkPolicy.publicFrom": [{"podSelector": {}}]}, {"services.order.routes": []}],
    ids=["open", "named", "closed"],
)
def test_the_test_can_reach_order_whoever_else_can(render: Any, values: dict[str, Any]) -> None:
    rendered = render(values)
    assert allowed(rendered, "test", "order")
    assert not allowed(rendered, "test", "payment")


def test_every_host_of_the_ingress_has_every_route(render: Any) -> None:
    hosts = {"enabled": True, "host": "shop.example.com", "hosts": ["*.example.net", "shop.example.com"]}
    rules = render({"ingress": hosts, "services.inventory.routes": ["/items"]}).of("Ingress")["oms"]["spec"]["rules"]
    assert [one["host"] for one in rules] == ["shop.example.com", "*.example.net"]
    assert all({path["path"] for path in one["http"]["paths"]} == {"/order", "/items"} for one in rules)
    (any_host,) = render({"ingress.enabled": True}).of("Ingress")["oms"]["spec"]["rules"]
    assert "host" not in any_host


@pytest.mark.parametrize(
    ("scaling", "said"),
    [
        (
            {"services.order.autoscaling.type": "hpa", "serviceDefaults.resources.requests.cpu": None},
            "resources.requests.cpu",
        ),
    ],
)
def test_values_with_which_nothing_could_scale_are_refused(helm: Any, scaling: dict[str, Any], said: str) -> None:
    assert said in helm.refusal(scaling)


@pytest.mark.parametrize("kind", ["hpa", "keda"])
@pytest.mark.parametrize("service", ["email", "order", "payment"])
def test_no_autoscaler_leaves_a_service_without_pods(helm: Any, kind: str, service: str) -> None:
    """Lag does not count jobs that wait to be retried, or events in an outbox: nothing would scale up from 0."""
    scaling = {f"services.{service}.autoscaling": {"type": kind, "minReplicas": 0}}
    said = helm.refusal({**scaling, "networkPolicy.kafkaFrom": [{"namespaceSelector": {}}]})
    assert f"services.{service}.autoscaling.minReplicas must be at least 1" in said


def test_the_job_of_secrets_reaches_an_api_server_on_any_of_its_usual_ports(render: Any) -> None:
    (rule,) = render().of("NetworkPolicy")["oms-secrets"]["spec"]["egress"]
    assert {one["port"] for one in rule["ports"]} >= {443, 6443, 8443, 16443}
    assert "to" not in rule


def allowed(rendered: Any, source: str, target: str) -> bool:
    """Whether `source` may connect to `target` by the policies of both; they are components of this release."""
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
        assert allowed(rendered, source, "mailcatcher") == (source in {"email", "sms"})


def test_kafkas_own_tools_reach_it_from_its_pod_as_in_the_runbooks(render: Any) -> None:
    assert allowed(render({"kafka.mode": "embedded"}), "kafka", "kafka")


def test_services_reach_providers_only_if_they_are_set(render: Any) -> None:
    everywhere = {"ports": [{"protocol": "TCP", "port": 1, "endPort": 65535}]}
    rendered = render({"notifications.smtp.host": "smtp.example.com"})
    open_ones = {name for name, one in rendered.of("NetworkPolicy").items() if everywhere in one["spec"]["egress"]}
    assert open_ones == {"oms-email"}


def test_providers_can_be_narrowed_down(render: Any) -> None:
    narrow = [{"to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}], "ports": [{"port": 587}]}]
    rendered = render({"notifications.smtp.host": "smtp.example.com", "networkPolicy.providerEgress": narrow})
    found = {name for name, one in rendered.of("NetworkPolicy").items() if narrow[0] in one["spec"]["egress"]}
    assert found == {"oms-email"}
    assert "endPort" not in rendered.text


BANK = {f"services.{one}.env.OMS_GATEWAY": "bank" for one in ("order", "payment")}
BY_HTTPS = {"ports": [{"protocol": "TCP", "port": 443}]}


def test_services_that_handle_cards_reach_a_gateway_that_is_not_the_simulator(render: Any) -> None:
    def going(rendered: Any, rule: dict[str, Any]) -> set[str]:
        return {name for name, one in rendered.of("NetworkPolicy").items() if rule in one["spec"]["egress"]}

    assert going(render(), BY_HTTPS) == set()
    assert going(render(BANK), BY_HTTPS) == {"oms-order", "oms-payment"}
    narrow = {"to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}], "ports": [{"port": 8443}]}
    narrowed = render({**BANK, "networkPolicy.gatewayEgress": [narrow]})
    assert going(narrowed, narrow) == {"oms-order", "oms-payment"}
    assert going(narrowed, BY_HTTPS) == set()


def test_a_gateway_that_a_secret_names_can_be_reached(render: Any) -> None:
    named = {"services.payment.env": {"OMS_GATEWAY": None}, "services.payment.envFromSecrets": ["bank"]}
    assert BY_HTTPS in render(named).of("NetworkPolicy")["oms-payment"]["spec"]["egress"]


@pytest.mark.parametrize("service", ["order", "payment"])
def test_tokens_of_one_gateway_are_not_charged_at_another(helm: Any, service: str) -> None:
    said = helm.refusal({f"services.{service}.env.OMS_GATEWAY": "bank"})
    assert "both must name the same gateway" in said


def test_further_egress_is_added_for_everything_that_connects_to_kafka(render: Any) -> None:
    extra = [{"to": [{"ipBlock": {"cidr": "198.51.100.0/24"}}], "ports": [{"port": 9096}]}]
    values = {"notifications.smtp.host": "smtp.example.com", "kafka.mode": "embedded"}
    before = render(values).of("NetworkPolicy")
    after = render({**values, "networkPolicy.extraEgress": extra}).of("NetworkPolicy")
    for name in (*SERVICES, "topics"):
        assert after[f"oms-{name}"]["spec"]["egress"] == before[f"oms-{name}"]["spec"]["egress"] + extra


WHO_RESOLVES = (*SERVICES, "topics", "kafka")


def name_servers(rendered: Any, component: str) -> dict[str, Any]:
    """Return the rule that lets a component resolve names."""
    rules = rendered.of("NetworkPolicy")[f"oms-{component}"]["spec"]["egress"]
    found: dict[str, Any] = next(one for one in rules if {"protocol": "UDP", "port": 53} in one["ports"])
    return found


@pytest.mark.parametrize("component", WHO_RESOLVES)
def test_names_resolve_wherever_the_name_server_is(render: Any, component: str) -> None:
    rule = name_servers(render({"kafka.mode": "embedded"}), component)
    assert "to" not in rule  # a node's address (NodeLocal DNSCache, GKE's Cloud DNS) is not that of a pod
    found = {(one["protocol"], one["port"]) for one in rule["ports"]}
    assert found == {(protocol, port) for protocol in ("UDP", "TCP") for port in (53, 5353)}  # OpenShift: 5353


@pytest.mark.parametrize("component", WHO_RESOLVES)
def test_name_servers_can_be_narrowed_down(render: Any, component: str) -> None:
    to = [{"ipBlock": {"cidr": "169.254.20.10/32"}}]
    rendered = render({"kafka.mode": "embedded", "networkPolicy.dns": {"to": to, "ports": [53]}})
    ports = [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]
    assert name_servers(rendered, component) == {"to": to, "ports": ports}


def test_policies_can_be_left_out(render: Any) -> None:
    assert not render({"networkPolicy.enabled": False}).of("NetworkPolicy")


def callers(rendered: Any, service: str) -> Any:
    """Return who may call a service's public port: peers, everybody, or nobody."""
    rules = rendered.of("NetworkPolicy")[f"oms-{service}"]["spec"]["ingress"]
    found = [rule.get("from", "everybody") for rule in rules if {"port": "http"} in rule["ports"]]
    return found[0] if found else "nobody"


GATE = {"namespaceSelector": {"matchLabels": {"name": "ingress"}}}
OFFICE = {"namespaceSelector": {"matchLabels": {"name": "office"}}}


def test_a_service_without_routes_is_closed_unless_somebody_is_named(render: Any) -> None:
    assert callers(render(), "order") == "everybody"
    assert callers(render(), "inventory") == "nobody"
    assert callers(render({"networkPolicy.publicFrom": [GATE]}), "inventory") == "nobody"
    assert OFFICE in callers(render({"services.inventory.publicFrom": [OFFICE]}), "inventory")
    assert callers(render({"services.inventory.routes": ["/items"]}), "inventory") == "everybody"


def test_a_service_may_have_other_callers_than_the_rest(render: Any) -> None:
    rendered = render({"networkPolicy.publicFrom": [GATE], "services.order.publicFrom": [OFFICE]})
    assert OFFICE in callers(rendered, "order")
    assert GATE not in callers(rendered, "order")


def test_a_service_may_connect_where_the_others_may_not(render: Any) -> None:
    gateway = {"to": [{"ipBlock": {"cidr": "198.51.100.7/32"}}], "ports": [{"port": 443}]}
    rendered = render({"services.payment.extraEgress": [gateway]})
    found = {name for name, one in rendered.of("NetworkPolicy").items() if gateway in one["spec"]["egress"]}
    assert found == {"oms-payment"}


def test_keda_can_reach_the_embedded_kafka_or_the_values_are_refused(helm: Any, render: Any) -> None:
    keda = {"kafka.mode": "embedded", "services.sms.autoscaling.type": "keda"}
    assert "networkPolicy.kafkaFrom" in helm.refusal(keda)
    (rule,) = render({**keda, "networkPolicy.kafkaFrom": [OFFICE]}).of("NetworkPolicy")["oms-kafka"]["spec"]["ingress"]
    assert OFFICE in rule["from"]
    assert render({**keda, "networkPolicy.enabled": False})


def test_only_its_service_can_reach_a_cluster_of_cloudnativepg(render: Any) -> None:
    policies = render({"database.mode": "cnpg"}).of("NetworkPolicy")
    for service in SERVICES:
        spec = policies[f"oms-{service}-postgres"]["spec"]
        assert spec["podSelector"]["matchLabels"] == {"cnpg.io/cluster": f"oms-{service}-postgres"}
        clients, operator = spec["ingress"]
        peers = [peer["podSelector"]["matchLabels"] for peer in clients["from"]]
        assert peers[0]["app.kubernetes.io/component"] == service
        assert peers[1] == {"cnpg.io/cluster": f"oms-{service}-postgres"}
        assert clients["ports"] == [{"port": 5432}]
        assert {one["port"] for one in operator["ports"]} == {8000, 9187}
        assert spec["policyTypes"] == ["Ingress"]  # the destination of its backups is unknown here


@pytest.mark.parametrize("mode", ["embedded", "external", "strimzi"])
def test_a_sixth_service_has_everything_it_needs_in_every_mode(helm: Any, mode: str) -> None:
    values = {"kafka.mode": mode, "kafka.external": {"bootstrapServers": "k:9092", "securityProtocol": "PLAINTEXT"}}
    rendered = helm.render(values, CHART / "ci" / "sixth-values.yaml")
    name = "oms-loyalty-points"
    for kind in ("Deployment", "Service", "ServiceAccount", "NetworkPolicy", "PodDisruptionBudget"):
        assert name in rendered.of(kind), kind
    assert f"{name}-postgres" in rendered.of("StatefulSet")
    assert "pointsGrantedEvent" in rendered.text
    assert "loyalty-points.deadletter" in rendered.text
