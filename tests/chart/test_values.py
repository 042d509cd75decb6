"""Which values the chart accepts and refuses, and that its documents agree."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "oms"


def without_secrets(text: str) -> str:
    """Return a rendering without random values, and without blank lines, in which the two versions of Helm differ."""
    text = re.sub(r"(?m)^ *(password|uri|token|OMS_\w+): .*$", "", text)
    return "\n".join(line.rstrip() for line in text.splitlines() if line.strip())


def test_lint_finds_nothing(helm: Any, example: Path) -> None:
    done = helm.run("lint", "--strict", str(CHART), "--kube-version=1.34.0", "-f", str(example))
    assert done.returncode == 0, done.stdout + done.stderr


def test_helm_3_and_helm_4_render_the_same(helm: Any, helm3: Any, example: Path) -> None:
    assert without_secrets(helm.render(file=example).text) == without_secrets(helm3.render(file=example).text)


def test_no_rendering_contains_an_empty_or_unresolved_value(helm: Any, example: Path) -> None:
    text = helm.render(file=example).text
    assert "<no value>" not in text
    assert "%!" not in text
    assert "{{ include" not in text


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"kafka.mod": "embedded"}, "mod"),
        ({"kafka.mode": "kraft"}, "/kafka/mode"),
        ({"database.mode": "rds"}, "/database/mode"),
        ({"services.order.replica": 2}, "replica"),
        ({"services.order.replicas": "two"}, "/services/order/replicas"),
        ({"services.order.autoscaling.type": "both"}, "autoscaling/type"),
        ({"services.Order": {}}, "Order"),
        ({"services.kafka": {}}, "kafka"),
        ({"services.simulators": {}}, "simulators"),
        ({"image.flavour": "production"}, "/image/flavour"),
        ({"services.order.env": {"oms_gateway": "x"}}, "oms_gateway"),
        ({"services.order.resources.limit": {}}, "limit"),
        ({"services.order.routes": ["order"]}, "routes"),
        ({"imgae": {}}, "imgae"),
        ({"image.registry": "https://registry.example.com/team"}, "/image/registry"),
        ({"image.repository": "/oms/"}, "/image/repository"),
        ({"mailCatcher.enabled": "yes"}, "/mailCatcher/enabled"),
        ({"kafka.external.bootstrapServers": "kafka"}, "bootstrapServers"),
        ({"prometheusRule.runbooks": "docs"}, "runbooks"),
        ({"database.pool": 1}, "/database/pool"),
        ({"currency": "dollars"}, "/currency"),
        ({"image.digests": {"ordr": f"sha256:{'0' * 64}"}}, "ordr, which is neither a service"),
        ({"prometheusRule.disabled": ["OmsDeadLeters"]}, "OmsDeadLeters, but there is no such alert"),
        ({"services.order.extraEnv": [{"nam": "TZ", "value": "UTC"}]}, "/services/order/extraEnv/0"),
        ({"enabled": False}, "condition: oms.enabled"),
    ],
    ids=str,
)
def test_a_typo_is_refused_by_name(helm: Any, values: dict[str, Any], complaint: str) -> None:
    assert complaint in helm.refusal(values)


EXTERNAL = {"kafka.mode": "external", "kafka.external.bootstrapServers": "kafka.example.com:9094"}
MTLS = {**EXTERNAL, "kafka.external.securityProtocol": "SSL"}
PLAIN = {**EXTERNAL, "kafka.external.securityProtocol": "PLAINTEXT", "kafka.external.existingSecret": "user"}


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"kafka.mode": "external"}, "kafka.external.bootstrapServers"),
        ({"kafka.mode": "external", "kafka.external.bootstrapServers": "k:9092"}, "existingSecret"),
        ({"database.mode": "external"}, "database.existingSecret"),
        ({"services.order.consumes": ["orderCreated"]}, "orderCreated"),
        ({"services.sms.routes": ["/sms"]}, "services.sms.http"),
        ({"services.order.autoscaling": {"type": "hpa", "minReplicas": 9}}, "minReplicas"),
        ({"kafka.minInSyncReplicas": 2}, "minInSyncReplicas"),
        ({"kafka.replication": 3}, "kafka.strimzi.nodes"),
        ({"kafka.mode": "embedded", "kafka.replication": 3}, "the embedded Kafka is one broker"),
        ({"kafka.strimzi.nodes": 2}, "kafka.strimzi.nodes must be odd"),
        ({"topicDefaults.config": {"retention.ms": 9223372036854775807}}, "in quotes"),
        ({"mailCatcher.enabled": False}, "notifications.smtp.host"),
        ({"httpRoute.enabled": True}, "parentRefs"),
        (
            {"database.mode": "external", "serviceDefaults.database.existingSecret": "rds"},
            "services.email and services.inventory have one database",
        ),
        (
            {"services.sms.database.existingSecret": "one", "services.email.database.existingSecret": "one"},
            "services.email and services.sms have one database",
        ),
        ({**MTLS, "kafka.external.existingSecret": "certificate"}, "clientCertificate=true"),
        ({**PLAIN, "kafka.external.caSecret": "ca"}, "does not use TLS"),
        ({**PLAIN, "kafka.external.clientCertificate": True}, "does not use TLS"),
        ({"kafka.strimzi.nodePool": "controller", "kafka.strimzi.controllers.nodes": 3}, "a pool each"),
    ],
    ids=str,
)
def test_contradictory_values_are_refused_with_advice(helm: Any, values: dict[str, Any], complaint: str) -> None:
    assert complaint in helm.refusal(values)


FREE = {  # users may add and remove entries as they like
    *(
        "resources",
        "parameters",
        "config",
        "labels",
        "annotations",
        "spec",
        "nodePoolSpec",
        "digests",
        "settings",
        "env",
    ),
    *(
        "services",
        "topics",
        "nodeSelector",
        "affinity",
        "files",
        "podLabels",
        "podAnnotations",
        "serviceAccountAnnotations",
    ),
}


def test_a_value_removed_by_null_is_refused_by_name(helm: Any) -> None:
    """Otherwise templates would not find it. The exceptions are user ids, which the platform may choose."""
    schema = json.loads((CHART / "values.schema.json").read_text())["allOf"][0]
    todo = [("", yaml.safe_load((CHART / "values.yaml").read_text()), schema)]
    while todo:
        path, values, required = todo.pop()
        assert set(required["required"]) == set(values) - {"runAsUser", "runAsGroup"}, path
        inner = {key: one for key, one in values.items() if isinstance(one, dict) and one and key not in FREE}
        found = required.get("properties", {})
        todo += [(f"{path}.{key}", one, found.get(key, {"required": []})) for key, one in inner.items()]
    for key in ("networkPolicy.dns", "kafka.prefix", "serviceDefaults.autoscaling"):
        assert f"missing property '{key.rpartition('.')[2]}'" in helm.refusal({key: None})


def test_an_entry_that_a_user_removes_from_a_map_is_gone(render: Any) -> None:
    rendered = render(
        {
            "dashboards.labels.grafana_dashboard": None,
            "serviceDefaults.resources.limits": None,
            "topicDefaults.config.segment\\.ms": None,
            "topics.itemUpdatedEvent": None,
            "services.order.env.OMS_DEFAULT_REGION": None,
        }
    )
    assert "grafana_dashboard" not in rendered.text
    assert "limits" not in rendered.container("oms-order")["resources"]
    assert "OMS_DEFAULT_REGION" not in rendered.text
    topic = rendered.of("KafkaTopic")["oms-item-updated-event"]["spec"]["config"]
    assert topic["cleanup.policy"] == "delete"
    assert "segment.ms" not in topic


def test_an_old_kubernetes_is_refused(helm: Any) -> None:
    done = helm.run("template", "oms", str(CHART), "--kube-version=1.29.9")
    assert "kubeVersion" in done.stderr


def test_the_readme_agrees_with_values_yaml() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "chart_docs.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_every_value_is_explained() -> None:
    values = "pathlib.Path('charts/oms/values.yaml').read_text()"
    code = f"import chart_docs, pathlib; print(*chart_docs.undocumented({values}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PYTHONPATH": "scripts"},
        check=True,
    )
    assert done.stdout.strip() == ""


def test_examples_of_values_in_the_readme_are_values(helm: Any, tmp_path: Path) -> None:
    blocks = re.findall(r"(?ms)^```yaml\n(.*?)^```", (CHART / "README.md").read_text())
    examples = [block for block in blocks if "apiVersion:" not in block]
    assert examples
    for example in examples:
        (file := tmp_path / "values.yaml").write_text(f"image: {{registry: registry.example.com}}\n{example}")
        assert helm.render(file=file).of("Ingress")
