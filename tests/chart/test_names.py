"""Names and texts arrive unchanged: texts that look like numbers, long names, files with templates."""

import http.client
import json
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.chassis import eventually

from oms_contracts.topics import SERVICES

CHART = Path(__file__).parents[2] / "charts" / "oms"
LIKE_A_NUMBER = "0123"  # octal for YAML
NUMBER = int(LIKE_A_NUMBER, 8)
DNS = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
EVERY_TEXT: dict[str, Any] = {
    "nameOverride": LIKE_A_NUMBER,
    "image.pullSecrets": [{"name": LIKE_A_NUMBER}],
    "admin.existingSecret": LIKE_A_NUMBER,
    "auth": {"mode": "jwt", "jwt": {"issuer": "https://issuer.example.com", "audience": LIKE_A_NUMBER}},
    "serviceDefaults": {
        "priorityClassName": LIKE_A_NUMBER,
        "podLabels": {"a": LIKE_A_NUMBER},
        "podAnnotations": {"a": LIKE_A_NUMBER},
        "nodeSelector": {"a": LIKE_A_NUMBER},
        "serviceAccountAnnotations": {"a": LIKE_A_NUMBER},
        "topologySpread": {"topologyKey": LIKE_A_NUMBER},
        "autoscaling": {"type": "keda"},
        "kafka": {"existingSecret": LIKE_A_NUMBER},
        "envFromSecrets": [LIKE_A_NUMBER],
    },
    "platformDefaults": {"priorityClassName": LIKE_A_NUMBER, "nodeSelector": {"a": LIKE_A_NUMBER}},
    **{
        f"services.{name}.database.existingSecret": f"{LIKE_A_NUMBER}{'' if name == 'order' else name}"
        for name in SERVICES
    },
    "services.order.env.NO": LIKE_A_NUMBER,
    "services.order.generatedEnv": ["OFF"],
    "services.on": {
        "database": {"existingSecret": "on"},
        "files": {LIKE_A_NUMBER: LIKE_A_NUMBER},
        "produces": [LIKE_A_NUMBER],
        "consumes": [LIKE_A_NUMBER],
        "http": True,
        "routes": ["/on"],
    },
    "topics": {LIKE_A_NUMBER: {"partitions": 2}},
    "notifications": {
        "smtp": {"host": LIKE_A_NUMBER, "from": LIKE_A_NUMBER, "existingSecret": LIKE_A_NUMBER},
        "sms": {"url": "https://sms.example.com", "from": LIKE_A_NUMBER, "existingSecret": LIKE_A_NUMBER},
    },
    "database.storage.className": LIKE_A_NUMBER,
    "database.embedded": {
        "parameters": {"a": LIKE_A_NUMBER},
        "backup": {"enabled": True, "storageClass": LIKE_A_NUMBER},
    },
    "database.cnpg": {
        "parameters": {"a": LIKE_A_NUMBER},
        "backup": {"enabled": True, "objectStore": LIKE_A_NUMBER, "snapshotClass": LIKE_A_NUMBER},
    },
    "kafka.strimzi": {
        "rack": LIKE_A_NUMBER,
        "storageClass": LIKE_A_NUMBER,
        "config": {"a": LIKE_A_NUMBER},
        "controllers": {"storageClass": LIKE_A_NUMBER},
    },
    "kafka.embedded.storageClass": LIKE_A_NUMBER,
    "kafka.external": {"bootstrapServers": "k:1", "existingSecret": LIKE_A_NUMBER, "caSecret": LIKE_A_NUMBER},
    "ingress": {"enabled": True, "className": LIKE_A_NUMBER, "annotations": {"a": LIKE_A_NUMBER}},
    "httpRoute": {"enabled": True, "annotations": {"a": LIKE_A_NUMBER}, "parentRefs": [{"name": LIKE_A_NUMBER}]},
    "serviceMonitor": {"enabled": True, "labels": {"a": LIKE_A_NUMBER}},
    "prometheusRule": {"enabled": True, "labels": {"a": LIKE_A_NUMBER}},
    "dashboards": {"labels": {"a": LIKE_A_NUMBER}, "annotations": {"a": LIKE_A_NUMBER}},
    "test": {"item": LIKE_A_NUMBER, "existingSecret": LIKE_A_NUMBER},
    "networkPolicy.kafkaFrom": [{"namespaceSelector": {}}],
}
SWITCHES = re.compile(
    r"enable|automount|runAsNonRoot|allowPrivilege|readOnly|optional|immediate|tls$|auto.create|delete|isWAL|serverName"
)


def changed(one: Any, path: str = "") -> Iterator[str]:
    """Yield the paths at which a text has become a number or a boolean."""
    if isinstance(one, dict):
        for key, value in one.items():
            if not isinstance(key, str):
                yield f"{path}: the key {key!r}"
            yield from changed(value, f"{path}.{key}")
    elif isinstance(one, list):
        for value in one:
            yield from changed(value, path)
    elif one == NUMBER or one == 2024 or (isinstance(one, bool) and not SWITCHES.search(path)):
        yield f"{path}: {one!r}"


@pytest.mark.parametrize(
    ("database", "kafka"),
    [("embedded", "embedded"), ("cnpg", "strimzi"), ("external", "external")],
)
def test_a_text_that_looks_like_a_number_or_a_boolean_stays_a_text(render: Any, database: str, kafka: str) -> None:
    modes = {"database.mode": database, "kafka.mode": kafka}
    rendered = render({**EVERY_TEXT, **modes}, name="on", namespace="2024")
    assert not [f"{one['kind']}{where}" for one in rendered.all for where in changed(one)]
    assert LIKE_A_NUMBER in rendered.text


def test_a_release_may_begin_with_a_digit_though_a_service_may_not(render: Any) -> None:
    rendered = render({"kafka.mode": "embedded"}, name="1shop")
    assert "oms-1shop-oms-order" in rendered.of("Service")
    assert all(re.fullmatch(r"[a-z][a-z0-9-]*", name) for name in rendered.of("Service"))


@pytest.mark.parametrize("key", ["nameOverride", "fullnameOverride"])
def test_a_name_that_kubernetes_would_refuse_is_refused(helm: Any, key: str) -> None:
    assert key in helm.refusal({key: "My_Shop"})


@pytest.mark.parametrize(("mode", "most"), [("embedded", 52), ("cnpg", 50)])
def test_a_database_s_name_is_as_short_as_its_operator_requires(helm: Any, mode: str, most: int) -> None:
    values = {"database.mode": mode, "services.loyalty": {}}
    longest = f"a{'b' * (most - 1 - len('-inventory-postgres'))}"  # inventory has the longest name
    rendered = helm.render({**values, "fullnameOverride": longest[:30]})
    kind = "StatefulSet" if mode == "embedded" else "Cluster"
    assert max(map(len, rendered.of(kind))) <= most
    said = helm.refusal({"database.mode": mode, "services.loyalty-programme": {}, "fullnameOverride": "b" * 30})
    assert "fullnameOverride" in said
    assert str(most) in said


def test_what_says_no_more_than_its_kind_is_refused(helm: Any) -> None:
    off = {f"services.{one}.enabled": False for one in SERVICES}
    assert "no service is enabled" in helm.refusal(off)
    assert "clusterName" in helm.refusal({"kafka.strimzi.createCluster": False})
    assert "app.kubernetes.io/name" in helm.refusal({"serviceDefaults.podLabels": {"app.kubernetes.io/name": "other"}})


@pytest.mark.parametrize(
    "way", [{"ingress.enabled": True}, {"httpRoute": {"enabled": True, "parentRefs": [{"name": "x"}]}}]
)
def test_an_ingress_without_routes_is_refused(helm: Any, way: dict[str, Any]) -> None:
    assert "no enabled service has routes" in helm.refusal({**way, "services.order.enabled": False})


def test_names_of_topics_give_names_that_kubernetes_accepts(helm: Any, render: Any) -> None:
    odd = ["_private", "ends.", "...", "a..b", "Order_V2", "v1.Order-Created", "x" * 249]
    found = render({"topics": {topic: {} for topic in odd}}).of("KafkaTopic")
    assert {one["spec"]["topicName"] for one in found.values()} >= set(odd)
    assert all(len(name) <= 253 and DNS.fullmatch(name) for name in found)
    said = helm.refusal({"topics": {"Order_X": {}, "order-x": {}}})
    assert "Order_X" in said
    assert "order-x" in said


def test_files_may_contain_templates_of_every_kind(render: Any) -> None:
    text = 'name={{ include "oms.fullname" . }} <{{ "a" | quote }}> & {{ if and true (gt 2 1) }}yes{{ end }}\n'
    rendered = render({"services.order.files": {"settings.conf": text}})
    assert rendered.files("order")["settings.conf"] == 'name=oms <"a"> & yes\n'


def test_the_job_of_topics_has_what_the_service_needs_to_start(render: Any) -> None:
    """It runs the service's program, which does not start without a key that may be in a user's own secret."""
    rendered = render(
        {
            "kafka.mode": "embedded",
            "services.order": {
                "generatedEnv": [],
                "envFromSecrets": ["fingerprints"],
                "env": {"OMS_GATEWAY": "stripe"},
            },
            "services.payment.env.OMS_GATEWAY": "stripe",
        }
    )
    (job,) = (pod for name, pod in rendered.pods().items() if name.startswith("Job/oms-topics"))
    assert job["containers"][0]["envFrom"] == rendered.container("oms-order")["envFrom"]


@pytest.mark.parametrize("host", ["127.0.0.1", *(["::1"] if socket.has_ipv6 else [])])
def test_the_mail_catcher_listens_on_addresses_of_both_kinds(render: Any, tmp_path: Path, host: str) -> None:
    arguments = list(render({"ipv6": True}).container("oms-mailcatcher")["args"])
    ports = {"--smtp-port": free(), "--http-port": free()}
    for option, port in ports.items():
        arguments[arguments.index(option) + 1] = str(port)
    arguments[arguments.index("--folder") + 1] = str(tmp_path)
    with subprocess.Popen([sys.executable, "-m", "oms_simulators.mailcatcher", *arguments]) as catcher:
        try:
            eventually(lambda: answers(host, ports["--http-port"]), within=60)
            with socket.create_connection((host, ports["--smtp-port"]), timeout=10) as smtp:
                assert smtp.recv(3) == b"220"
        finally:
            catcher.terminate()


def free() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def answers(host: str, port: int) -> bool:
    try:
        connection = http.client.HTTPConnection(host, port, timeout=5)
        connection.request("GET", "/livez")
        return connection.getresponse().status == 200
    except OSError:
        return False


def test_a_host_may_have_a_wildcard(render: Any) -> None:
    (rule,) = render({"ingress": {"enabled": True, "host": "*.example.com"}}).of("Ingress")["oms"]["spec"]["rules"]
    assert rule["host"] == "*.example.com"


@pytest.mark.parametrize("version", ["helm", "helm3"])
@pytest.mark.parametrize("enabled", [True, False])
def test_another_chart_may_have_it_as_a_dependency_on_a_condition(
    request: pytest.FixtureRequest, tmp_path: Path, version: str, enabled: bool
) -> None:
    dependency = {"name": "oms", "version": "*", "condition": "oms.enabled"}
    chart = {"apiVersion": "v2", "name": "shop", "version": "0.1.0", "dependencies": [dependency]}
    (tmp_path / "Chart.yaml").write_text(json.dumps(chart))
    values = {"oms": {"enabled": enabled, "image": {"local": True}}, "global": {"team": "tea"}}
    (tmp_path / "values.yaml").write_text(json.dumps(values))
    shutil.copytree(CHART, tmp_path / "charts" / "oms")
    deployments = request.getfixturevalue(version).template("shop", str(tmp_path)).of("Deployment")
    assert ("shop-oms-order" in deployments) == enabled
