"""The values override what the chart sets, and nothing is set twice."""

from collections.abc import Hashable, Iterator
from typing import Any

import pytest
import yaml


class Loader(yaml.SafeLoader):
    """Refuses a mapping with a duplicate key, as tools that patch manifests do."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key) for key, _ in node.value]
        assert len(keys) == len(set(keys)), sorted(map(str, keys))
        return super().construct_mapping(node, deep)


OVERRULED = {
    "kafka.mode": "embedded",
    "serviceMonitor": {"enabled": True, "labels": {"app.kubernetes.io/part-of": "watched"}},
    "prometheusRule": {"enabled": True, "labels": {"app.kubernetes.io/part-of": "watched"}},
    "dashboards.labels": {"app.kubernetes.io/part-of": "watched"},
    "serviceDefaults.podAnnotations": {"kubectl.kubernetes.io/default-container": "mesh"},
    "services.order.env": {"OMS_LOG_LEVEL": "DEBUG", "OMS_KAFKA_REPLICATION": "7"},
    "services.order.extraEnv": [{"name": "OMS_CURRENCY", "value": "EUR"}, {"name": "OMS_GATEWAY", "value": "mine"}],
    "services.payment.env": {"OMS_GATEWAY": "mine"},
}


@pytest.fixture(scope="module")
def overruled(render: Any) -> Any:
    return render(OVERRULED)


def lists_of_variables(rendered: Any) -> Iterator[list[str]]:
    for pod in rendered.pods().values():
        for container in (*pod["containers"], *pod.get("initContainers", ())):
            yield [one["name"] for one in container.get("env", ())]


def test_no_mapping_has_a_key_twice(overruled: Any) -> None:
    assert list(yaml.load_all(overruled.text, Loader))


def test_no_container_has_a_variable_twice(overruled: Any) -> None:
    """Server-side apply refuses such a list."""
    for names in lists_of_variables(overruled):
        assert len(names) == len(set(names)), sorted(names)


def test_the_values_have_the_last_word(overruled: Any) -> None:
    env = {one["name"]: one.get("value") for one in overruled.container("oms-order")["env"]}
    assert (env["OMS_LOG_LEVEL"], env["OMS_CURRENCY"], env["OMS_GATEWAY"]) == ("DEBUG", "EUR", "mine")
    metadata = overruled.of("Deployment")["oms-order"]["spec"]["template"]["metadata"]
    assert metadata["annotations"]["kubectl.kubernetes.io/default-container"] == "mesh"
    for kind in ("ServiceMonitor", "PrometheusRule"):
        (one,) = overruled.of(kind).values()
        assert one["metadata"]["labels"]["app.kubernetes.io/part-of"] == "watched", kind


def test_the_job_of_topics_keeps_its_own_settings(overruled: Any) -> None:
    (job,) = (pod for name, pod in overruled.pods().items() if name.startswith("Job/oms-topics"))
    env = {one["name"]: one.get("value") for one in job["containers"][0]["env"]}
    assert env["OMS_KAFKA_REPLICATION"] == "1"


def test_a_service_can_do_without_a_limit_that_the_others_have(render: Any) -> None:
    values = {"services.order.resources": {"limits": None, "requests": {"cpu": None}}}
    rendered = render(values)
    assert rendered.container("oms-order")["resources"] == {"requests": {"memory": "96Mi"}}
    assert "limits" in rendered.container("oms-payment")["resources"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"services.order.autoscaling.type": "keda", "services.order.consumes": []}, "consumes none"),
        ({"services.inventory.routes": ["/order"]}, "so does another service"),
        (
            {"serviceMonitor": {"enabled": True, "interval": "5m"}, "prometheusRule.enabled": True},
            "alerts look at five minutes",
        ),
    ],
)
def test_values_that_could_not_work_are_refused(helm: Any, values: dict[str, Any], said: str) -> None:
    assert said in helm.refusal(values)


def test_a_snapshot_s_class_may_be_the_default(render: Any) -> None:
    backup = {"enabled": True, "method": "volumeSnapshot"}
    spec = render({"database.mode": "cnpg", "database.cnpg.backup": backup}).of("Cluster")["oms-sms-postgres"]["spec"]
    assert "className" not in spec["backup"]["volumeSnapshot"]


SMTP = {"services.email.env.OMS_SMTP_HOST": "smtp.example.com"}
BY_A_LIST = {"services.email.extraEnv": [{"name": "OMS_SMTP_HOST", "value": "smtp.example.com"}]}
BY_A_SECRET = {"services.email.env": {"OMS_SMTP_HOST": None}, "services.email.envFromSecrets": ["smtp"]}
SMS = {"services.sms.env.OMS_SMS_URL": "https://sms.example.com"}
OF_A_SECRET = {"name": "OMS_SMS_URL", "valueFrom": {"secretKeyRef": {"name": "sms", "key": "url"}}}
EVERYWHERE = {"ports": [{"protocol": "TCP", "port": 1, "endPort": 65535}]}
JWT = {"OMS_AUTH": "jwt", "OMS_JWT_ISSUER": "https://issuer.example.com:8443", "OMS_JWT_AUDIENCE": "oms"}


def egress(rendered: Any, service: str) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = rendered.of("NetworkPolicy")[f"oms-{service}"]["spec"]["egress"]
    return rules


@pytest.mark.parametrize(
    ("values", "allowed"),
    [({}, set()), (SMTP, {"email"}), (SMS, {"sms"}), ({"services.sms.extraEnv": [OF_A_SECRET]}, {"sms"})],
    ids=["none", "emails", "SMS", "SMS of a secret"],
)
def test_a_provider_can_be_reached_whichever_value_names_it(
    render: Any, values: dict[str, Any], allowed: set[str]
) -> None:
    rendered = render(values)
    assert {service for service in ("email", "sms") if EVERYWHERE in egress(rendered, service)} == allowed


def test_there_is_no_mail_catcher_if_nothing_is_sent_to_it(render: Any) -> None:
    assert "oms-mailcatcher" in render(SMTP).of("Deployment")
    assert "oms-mailcatcher" not in render(SMTP | SMS).of("Deployment")
    assert "oms-mailcatcher" not in render(SMTP | SMS | {"mailCatcher.enabled": False}).of("Deployment")
    assert "oms-mailcatcher" not in render(SMTP | {"services.sms.enabled": False}).of("Deployment")


def test_there_is_a_mail_catcher_if_anything_is_sent_to_it(helm: Any, render: Any) -> None:
    real = {"notifications.smtp.host": "smtp.example.com", "notifications.sms.url": "https://sms.example.com"}
    back = {**real, "services.email.env.OMS_SMTP_HOST": "oms-mailcatcher"}
    assert "oms-mailcatcher" in render(back).of("Deployment")
    assert "mailCatcher.enabled is false" in helm.refusal({**back, "mailCatcher.enabled": False})
    assert "mailCatcher.enabled is false" in helm.refusal({**SMTP, "mailCatcher.enabled": False})


@pytest.mark.parametrize("way", ["env", "extraEnv"])
def test_a_service_without_authentication_is_refused_if_it_is_required(helm: Any, way: str) -> None:
    nobody: Any = {"OMS_AUTH": "none"} if way == "env" else [{"name": "OMS_AUTH", "value": "none"}]
    values = {"auth.required": True, "auth.mode": "api-key", f"services.inventory.{way}": nobody}
    assert "auth.required is true and services.inventory has OMS_AUTH none" in helm.refusal(values)


def test_callers_are_authenticated_whichever_value_says_so(render: Any) -> None:
    asked = {f"services.{service}.env.OMS_AUTH": "api-key" for service in ("order", "inventory")}
    assert render({"auth.required": True, **asked}).settings("order").auth == ("api-key",)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"services.order.env": {"OMS_AUTH": "jwt"}}, "services.order has OMS_AUTH jwt: set auth.jwt.issuer"),
        ({"services.order.env": {"OMS_AUTH": "api-key"}, "admin.enabled": False}, "admin.enabled must be true"),
    ],
)
def test_a_mode_of_authentication_needs_its_settings(helm: Any, values: dict[str, Any], said: str) -> None:
    assert said in helm.refusal(values)


def test_an_issuer_and_a_collector_can_be_reached_whichever_value_names_them(render: Any) -> None:
    collector = {"OMS_TRACES_ENDPOINT": "http://collector.x:4318"}
    rendered = render({"services.order.env": JWT | collector})
    for port in (8443, 4318):
        rule = {"ports": [{"protocol": "TCP", "port": port}]}
        assert rule in egress(rendered, "order")
        assert rule not in egress(rendered, "inventory")


def of_a_secret(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "valueFrom": {"secretKeyRef": {"name": "sign-on", "key": name}}} for name in names]


ISSUERS = [{"to": [{"ipBlock": {"cidr": "192.0.2.7/32"}}], "ports": [{"port": 8443}]}]
COLLECTORS = [{"to": [{"ipBlock": {"cidr": "192.0.2.8/32"}}], "ports": [{"port": 4318}]}]
AUTH, ISSUER = of_a_secret("OMS_AUTH", "OMS_JWT_ISSUER")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"services.order": {"env": JWT, "extraEnv": [ISSUER]}}, [{"ports": [{"protocol": "TCP", "port": 443}]}]),
        ({"services.order": {"env": JWT, "extraEnv": [AUTH]}}, [{"ports": [{"protocol": "TCP", "port": 8443}]}]),
        ({"services.order.extraEnv": [AUTH, ISSUER]}, [{"ports": [{"protocol": "TCP", "port": 443}]}]),
        ({"services.order": {"extraEnv": [AUTH], "envFromSecrets": ["sign-on"]}},
         [{"ports": [{"protocol": "TCP", "port": 443}]}]),
        ({"services.order.extraEnv": [AUTH, ISSUER], "auth.jwt.egress": ISSUERS}, ISSUERS),
        ({"services.order.extraEnv": [AUTH], "auth.jwt.egress": ISSUERS}, ISSUERS),
        ({"services.order.extraEnv": [AUTH]}, []),
        ({"services.order": {"env": {"OMS_AUTH": "api-key"}, "extraEnv": [ISSUER]}}, []),
    ],
    ids=["issuer", "way", "both", "way, and perhaps issuer", "both, and where", "way, and where", "way", "another way"],
)  # fmt: skip
def test_an_issuer_that_a_secret_names_can_be_reached(
    render: Any, values: dict[str, Any], expected: list[dict[str, Any]]
) -> None:
    rendered = render(values)
    assert [rule for rule in egress(rendered, "order") if rule not in egress(render({}), "order")] == expected
    assert egress(rendered, "inventory") == egress(render({}), "inventory")


def test_a_collector_that_a_secret_names_is_reached_by_the_egress_in_the_values(render: Any) -> None:
    """Its port is unknown."""
    values = {"services.sms.extraEnv": of_a_secret("OMS_TRACES_ENDPOINT")}
    assert egress(render(values), "sms") == egress(render({}), "sms")
    rendered = render({**values, "tracing.egress": COLLECTORS})
    assert [rule for rule in egress(rendered, "sms") if rule not in egress(render({}), "sms")] == COLLECTORS
    assert egress(rendered, "email") == egress(render({}), "email")


def test_the_test_knows_how_the_service_authenticates(render: Any) -> None:
    rendered = render({"services.order.env": JWT})
    (pod,) = [spec for name, spec in rendered.pods().items() if name.startswith("Pod/")]
    assert {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}["AUTH"] == "jwt"


@pytest.mark.parametrize("named", [SMTP, BY_A_LIST, BY_A_SECRET], ids=["env", "extraEnv", "a secret"])
def test_port_and_tls_of_email_follow_from_whichever_value_names_the_mail_server(
    render: Any, named: dict[str, Any]
) -> None:
    env = {one["name"]: one.get("value") for one in render(named).container("oms-email")["env"]}
    assert (env["OMS_SMTP_PORT"], env["OMS_SMTP_STARTTLS"]) == ("587", "true")
    back = {"notifications.smtp.host": "smtp.example.com", "services.email.env.OMS_SMTP_HOST": "oms-mailcatcher"}
    env = {one["name"]: one.get("value") for one in render(back).container("oms-email")["env"]}
    assert (env["OMS_SMTP_PORT"], env["OMS_SMTP_STARTTLS"]) == ("1025", "false")
