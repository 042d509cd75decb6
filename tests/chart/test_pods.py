"""Pods: their rights, probes, shutdown and environment."""

import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from oms_contracts.topics import SERVICES
from oms_platform.declarations import declaration
from oms_platform.sample import ITEMS

CHART = Path(__file__).parents[2] / "charts" / "oms"


def test_every_pod_passes_the_restricted_level_with_a_read_only_root(helm: Any, example: Path) -> None:
    for name, pod in helm.render(file=example).pods().items():
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert security["runAsUser"] > 0, name
        assert pod["automountServiceAccountToken"] is name.startswith("Job/oms-secrets-"), name
        for container in (*pod["containers"], *pod.get("initContainers", ())):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}, name
            assert "memory" in container["resources"]["limits"], name
        assert not any("hostPath" in volume for volume in pod["volumes"] if volume) if "volumes" in pod else True


def test_the_pods_that_strimzi_makes_pass_the_restricted_level_too(render: Any) -> None:
    kafka = render().of("Kafka")["oms-kafka"]["spec"]
    containers = {"kafkaContainer": kafka["kafka"]["template"]}
    operator = kafka["entityOperator"]
    containers |= {f"{kind}Container": operator["template"] for kind in ("topicOperator", "userOperator")}
    for container, template in containers.items():
        assert template["pod"]["securityContext"]["runAsNonRoot"] is True
        assert template["pod"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert template[container]["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        }


def test_the_entity_operator_is_given_resources(render: Any) -> None:
    given = {"requests": {"cpu": "1", "memory": "1Gi"}}
    operator = render({"kafka.strimzi.entityOperator.resources": given}).of("Kafka")["oms-kafka"]["spec"][
        "entityOperator"
    ]
    for kind in ("topicOperator", "userOperator"):
        assert operator[kind]["resources"]["requests"] == given["requests"]
        assert "memory" in operator[kind]["resources"]["limits"]


def test_openshift_chooses_the_broker_s_group_as_it_does_the_services(render: Any) -> None:
    def group(**values: Any) -> Any:
        kafka = render({f"podSecurity.{key}": value for key, value in values.items()}).of("Kafka")["oms-kafka"]
        return kafka["spec"]["kafka"]["template"]["pod"]["securityContext"].get("fsGroup")

    assert group() == 0
    assert group(runAsUser=None, runAsGroup=None) is None


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_probed_on_the_internal_port(render: Any, service: str) -> None:
    container = render().container(f"oms-{service}")
    probes = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")}
    assert probes["readiness"] == {"path": "/readyz", "port": "internal"}
    assert probes["liveness"] == probes["startup"] == {"path": "/livez", "port": "internal"}
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports["internal"] == 9100
    assert ports.get("http") == (9090 if declaration(service).http else None)


@pytest.mark.parametrize("service", SERVICES)
def test_a_pod_gets_more_time_than_it_needs_to_drain(render: Any, service: str) -> None:
    pod = render().pods()[f"Deployment/oms-{service}"]
    container = pod["containers"][0]
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain = next(int(one["value"]) for one in container["env"] if one["name"] == "OMS_DRAIN_SECONDS")
    assert pause > 0
    assert pod["terminationGracePeriodSeconds"] > pause + drain


def test_a_service_s_own_drain_time_is_respected(render: Any) -> None:
    """Emails, for instance, may take longer to hand over than anything else."""
    rendered = render({"services.email.env.OMS_DRAIN_SECONDS": 119.5})
    periods = {name: pod.get("terminationGracePeriodSeconds") for name, pod in rendered.pods().items()}
    assert (periods["Deployment/oms-email"], periods["Deployment/oms-sms"]) == (5 + 120 + 10, 5 + 20 + 10)


@pytest.mark.parametrize("service", SERVICES)
def test_a_pod_migrates_its_database_and_then_serves(render: Any, service: str) -> None:
    pod = render().pods()[f"Deployment/oms-{service}"]
    module = f"oms_{service}.main"
    assert import_module(module).SERVICE.name == service
    assert [one["command"] for one in pod["initContainers"]] == [["python", "-m", module, "migrate"]]
    assert pod["containers"][0]["command"] == ["python", "-m", module, "serve"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_gets_only_settings_that_it_knows(helm: Any, service: str, example: Path) -> None:
    settings = import_module(f"oms_{service}.main").SERVICE.settings
    known = {f"OMS_{name.upper()}" for name in settings.model_fields}
    given = {one["name"] for one in helm.render(file=example).container(f"oms-{service}")["env"]}
    assert given <= known
    assert {"OMS_DATABASE_URL", "OMS_KAFKA_BOOTSTRAP"} <= given


def test_no_pod_gets_a_password_in_clear_text(helm: Any, example: Path) -> None:
    for pod in helm.render(file=example).pods().values():
        for container in (*pod["containers"], *pod.get("initContainers", ())):
            for one in container.get("env", ()):
                if any(word in one["name"] for word in ("PASSWORD", "DATABASE_URL", "KEY", "TOKEN")):
                    assert "value" not in one or one["value"].startswith("/etc/"), one["name"]


def admin_tokens(rendered: Any) -> list[Any]:
    """Return the source of each service's admin token."""
    containers = [rendered.container(f"oms-{name}") for name in SERVICES]
    tokens = [{one["name"]: one for one in container["env"]}.get("OMS_ADMIN_TOKEN") for container in containers]
    return [one and one["valueFrom"]["secretKeyRef"] for one in tokens]


def test_the_admin_api_of_every_service_takes_one_generated_token(render: Any) -> None:
    assert admin_tokens(render()) == [{"name": "oms-admin", "key": "token"}] * len(SERVICES)


def test_a_user_s_own_admin_token_replaces_the_generated_one(render: Any) -> None:
    rendered = render({"admin.existingSecret": "mine"})
    assert admin_tokens(rendered) == [{"name": "mine", "key": "token"}] * len(SERVICES)
    assert "oms-admin" not in rendered.text


def test_without_an_admin_api_there_is_no_secret_with_its_token(render: Any) -> None:
    rendered = render({"admin.enabled": False})
    assert admin_tokens(rendered) == [None] * len(SERVICES)
    assert "oms-admin" not in rendered.text


def test_cnpg_brings_each_service_its_cluster_and_no_statefulset(render: Any) -> None:
    rendered = render({"database.mode": "cnpg"})
    assert rendered.of("Cluster").keys() == {f"oms-{name}-postgres" for name in SERVICES}
    assert not rendered.of("StatefulSet")
    secret = rendered.container("oms-sms")["env"][0]["valueFrom"]["secretKeyRef"]
    assert secret == {"name": "oms-sms-postgres-app", "key": "uri"}


def test_cnpg_and_the_service_use_the_same_secret_if_one_is_given(render: Any) -> None:
    rendered = render({"database.mode": "cnpg", "services.sms.database": {"existingSecret": "mine"}})
    assert rendered.of("Cluster")["oms-sms-postgres"]["spec"]["bootstrap"]["initdb"]["secret"] == {"name": "mine"}
    pod = rendered.pods()["Deployment/oms-sms"]
    for container in (*pod["containers"], *pod["initContainers"]):
        assert container["env"][0]["valueFrom"]["secretKeyRef"] == {"name": "mine", "key": "uri"}
    assert "oms-sms-postgres-app" not in rendered.text


def test_selectors_match_only_their_own_pods(helm: Any, example: Path) -> None:
    rendered = helm.render(file=example)
    workloads = [one for one in rendered.all if one["kind"] in {"Deployment", "StatefulSet"}]
    labels = {one["metadata"]["name"]: one["spec"]["template"]["metadata"]["labels"] for one in workloads}
    for one in workloads:
        selector = one["spec"]["selector"]["matchLabels"].items()
        assert [name for name, found in labels.items() if selector <= found.items()] == [one["metadata"]["name"]]
    for name, service in rendered.of("Service").items():
        matching = [pod for pod, found in labels.items() if service["spec"]["selector"].items() <= found.items()]
        assert matching == [name]


def test_names_stay_within_what_kubernetes_allows(render: Any) -> None:
    rendered = render(name="a-release-with-a-name-that-is-rather-long-for-one"[:50])
    for one in rendered.all:
        limit = 52 if one["kind"] == "StatefulSet" else 63
        assert len(one["metadata"]["name"]) <= limit, one["metadata"]["name"]


def test_two_long_names_that_begin_alike_stay_distinct(render: Any) -> None:
    long = "a-release-with-a-name-that-is-rather-long"
    first, second = ({(one["kind"], one["metadata"]["name"]) for one in render(name=f"{long}-{n}").all} for n in "ab")
    assert first & second == {("KafkaNodePool", "dual-role")}  # kafka.strimzi.nodePool
    assert ("Deployment", "oms-order") in {(one["kind"], one["metadata"]["name"]) for one in render(name="oms").all}


def test_a_release_with_a_dot_in_its_name_has_names_that_kubernetes_accepts(render: Any) -> None:
    for one in render(name="oms.one").all:
        assert "." not in one["metadata"]["name"] or one["kind"] == "KafkaTopic"  # like the topic's own name


@pytest.mark.parametrize("name", ["order-postgres", "sms-kafka", "order-database", "secrets", "backup"])
def test_a_service_cannot_have_a_name_that_is_in_use(helm: Any, name: str) -> None:
    assert name in helm.refusal({f"services.{name}": {}})


def test_an_installation_without_the_order_service_has_its_jobs(render: Any) -> None:
    rendered = render({"services.order.enabled": False, "kafka.mode": "embedded"})
    images = {one["spec"]["template"]["spec"]["containers"][0]["image"] for one in rendered.of("Job").values()}
    assert images == {"registry.example.com/team/oms/email:0.1.0-demo"}
    assert not rendered.of("Pod")


def test_an_image_can_be_pinned_by_its_digest(render: Any) -> None:
    digest = "sha256:" + "a" * 64
    rendered = render({"image.digests": {"order": digest}, "kafka.mode": "embedded"})
    pinned = f"registry.example.com/team/oms/order:0.1.0-demo@{digest}"
    assert rendered.container("oms-order")["image"] == pinned
    assert {one["spec"]["template"]["spec"]["containers"][0]["image"] for one in rendered.of("Job").values()} == {
        pinned
    }
    assert "@" not in rendered.container("oms-sms")["image"]


SCHEDULING = {
    "nodeSelector": {"pool": "data"},
    "tolerations": [{"key": "data", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "priorityClassName": "high",
}


def test_scheduling_reaches_every_pod(render: Any) -> None:
    rendered = render(
        {
            "kafka.mode": "embedded",
            "platformDefaults": SCHEDULING,
            "serviceDefaults": SCHEDULING,
            "database.embedded.backup.enabled": True,
        }
    )
    job = rendered.of("CronJob")["oms-backup"]["spec"]["jobTemplate"]
    pods = {**rendered.pods(), "backup": job["spec"]["template"]["spec"]}
    assert len(pods) > 13
    for name, pod in pods.items():
        assert SCHEDULING.items() <= pod.items(), name


def test_labels_and_annotations_reach_every_pod(helm: Any) -> None:
    """A service mesh needs them, on jobs too, which would never end next to its proxy."""
    given = {"podLabels": {"mesh": "no"}, "podAnnotations": {"inject": "false"}}
    rendered = helm.render(
        {
            "kafka.mode": "embedded",
            "platformDefaults": given,
            "serviceDefaults": given,
            "database.embedded.backup.enabled": True,
        }
    )
    made = [one["spec"].get("jobTemplate", one)["spec"].get("template", one) for one in rendered.all if "spec" in one]
    pods = [one["metadata"] for one in made if "containers" in one["spec"] or "containers" in one.get("template", {})]
    assert len(pods) > 13
    for metadata in pods:
        assert metadata["labels"]["mesh"] == "no", metadata
        assert metadata["annotations"]["inject"] == "false", metadata
    assert helm.render({"kafka.mode": "embedded", "serviceDefaults": given}).text.count("mesh:") == len(SERVICES)


def test_a_label_that_the_chart_also_sets_occurs_once(render: Any) -> None:
    rendered = render({"platformDefaults.podLabels": {"app.kubernetes.io/version": "ours"}})
    (pod,) = (one for one in rendered.text.split("\n---") if "\nkind: Pod\n" in one)
    assert re.findall(r"app.kubernetes.io/version: (\S+)", pod) == ["ours"]


def test_operators_have_the_registry_s_credentials(render: Any) -> None:
    secrets = [{"name": "registry"}]
    rendered = render({"image.pullSecrets": secrets, "database.mode": "cnpg", "kafka.strimzi.metrics": True})
    assert all(one["spec"]["imagePullSecrets"] == secrets for one in rendered.of("Cluster").values())
    spec = rendered.of("Kafka")["oms-kafka"]["spec"]
    for part in ("kafka", "entityOperator", "kafkaExporter"):
        assert spec[part]["template"]["pod"]["imagePullSecrets"] == secrets, part
    assert all(pod["imagePullSecrets"] == secrets for pod in rendered.pods().values())


def test_pods_listen_on_every_address_with_ipv6(render: Any) -> None:
    rendered = render({"ipv6": True, "kafka.mode": "embedded"})
    assert {one["spec"]["ipFamilyPolicy"] for one in rendered.of("Service").values()} == {"PreferDualStack"}
    for service in SERVICES:
        env = {one["name"]: one.get("value") for one in rendered.container(f"oms-{service}")["env"]}
        assert env["OMS_HTTP_HOST"] == ""
    assert all("ipFamilyPolicy" not in one["spec"] for one in render().of("Service").values())


def test_every_port_of_a_service_says_its_protocol(render: Any) -> None:
    """A mesh guesses it from the client's first bytes, and waits in vain if the server speaks first, as in SMTP."""
    services = render({"kafka.mode": "embedded"}).of("Service").values()
    said = {port["name"]: port.get("appProtocol") for one in services for port in one["spec"]["ports"]}
    assert said == {"http": "http", "internal": "http", "postgres": "tcp", "kafka": "tcp", "smtp": "tcp"}


def test_images_follow_the_registry_and_the_tag(render: Any) -> None:
    assert render().container("oms-order")["image"] == "registry.example.com/team/oms/order:0.1.0-demo"
    image = {"registry": "registry.example.com/team", "repository": "shop", "tag": "1.2.3"}
    rendered = render({"image": image})
    assert rendered.container("oms-email")["image"] == "registry.example.com/team/shop/email:1.2.3"
    assert rendered.container("oms-mailcatcher")["image"] == "registry.example.com/team/shop/simulators:1.2.3"


@pytest.mark.parametrize(("flavour", "tag"), [("demo", "0.1.0-demo"), ("", "0.1.0")])
def test_a_release_s_images_come_in_the_flavour_that_was_chosen(render: Any, flavour: str, tag: str) -> None:
    """The simulators, whose image the mail catcher runs, have only one."""
    rendered = render({"image.flavour": flavour, "kafka.mode": "embedded"})
    found = {image.removeprefix("registry.example.com/team/") for image in images(rendered)}
    assert found == {*(f"oms/{service}:{tag}" for service in SERVICES), "oms/simulators:0.1.0"}


def test_the_mail_catcher_s_image_may_be_another(render: Any) -> None:
    image = "registry.example.com/mine/simulators:2"
    assert render({"mailCatcher.image": image}).container("oms-mailcatcher")["image"] == image


def test_the_mail_catcher_is_what_its_image_runs(render: Any) -> None:
    container = render().container("oms-mailcatcher")
    assert "command" not in container
    assert container["args"][:2] == ["--host", "0.0.0.0"]  # noqa: S104 - of its pod


def images(rendered: Any) -> dict[str, set[str]]:
    """Return the images of the project, and how each is pulled."""
    found: dict[str, set[str]] = {}
    for pod in rendered.pods().values():
        for container in (*pod["containers"], *pod.get("initContainers", ())):
            found.setdefault(container["image"], set()).add(container["imagePullPolicy"])
    return {image: policies for image, policies in found.items() if "oms/" in image or "mine" in image}


def test_no_image_is_pulled_by_a_name_that_somebody_else_may_own(helm: Any) -> None:
    refusal = helm.refusal({"image.registry": ""})
    assert "image.registry" in refusal
    assert "image.local" in refusal
    for values in ({"kafka.mode": "embedded"}, {"kafka.mode": "strimzi"}):
        local = images(helm.render({**values, "image": {"registry": "", "local": True, "tag": "dev"}}))
        assert local == {f"oms/{name}:dev": {"Never"} for name in (*SERVICES, "simulators")}


def test_images_with_full_names_need_no_registry_and_are_pulled(helm: Any) -> None:
    own = {f"services.{service}.image": f"example.com/mine/{service}@sha256:0" for service in SERVICES}
    own["mailCatcher.image"] = "example.com/mine/simulators@sha256:0"
    found = images(helm.render({"image.registry": "", "kafka.mode": "embedded", **own}))
    assert found == {image: {"IfNotPresent"} for image in own.values()}


def test_the_kind_example_uses_the_images_that_were_built_here(helm: Any) -> None:
    found = images(helm.render(file=CHART / "ci/kind-values.yaml"))
    assert found == {f"oms/{name}:dev": {"Never"} for name in (*SERVICES, "simulators")}


def test_the_catalogue_is_the_sample_of_the_local_platform(render: Any) -> None:
    assert json.loads(render().files("inventory")["catalogue.json"]) == ITEMS


def test_a_catalogue_of_thousands_is_a_file(render: Any, helm: Any, tmp_path: Path) -> None:
    def values(count: int) -> Path:
        item = {"name": "Neutral product, boxed", "unitPrice": 1250, "onHand": 100}
        (path := tmp_path / "many.json").write_text(
            json.dumps(
                {
                    "image": {"registry": "registry.example.com/team"},
                    "catalogue": [{"id": f"SKU-{number:06d}", **item} for number in range(count)],
                }
            )
        )
        return path

    rendered = helm.render(file=values(5000))
    assert len(json.loads(rendered.files("inventory")["catalogue.json"])) == 5000
    longest = max(len(one.get("value", "")) for one in rendered.container("oms-inventory")["env"])
    assert longest < 1000  # Linux limits a variable to 128 KiB
    assert rendered.parts("inventory")
    refused = helm.run("template", "oms", str(CHART), "-f", str(values(20000)))
    assert "a ConfigMap holds a megabyte" in refused.stderr


@pytest.mark.parametrize(("key", "value"), [("id", "Gift card"), ("unitPrice", 0), ("name", "")])
def test_an_item_that_the_service_would_refuse_is_refused_by_the_chart(helm: Any, key: str, value: Any) -> None:
    item = {"id": "Tea", "name": "Tea", "unitPrice": 1, "onHand": 1, key: value}
    assert f"/catalogue/0/{key}" in helm.refusal({"catalogue": [item]})


def test_a_changed_file_replaces_the_pods_that_have_it(render: Any) -> None:
    def checksum(**values: Any) -> str:
        pod = render(values).of("Deployment")["oms-inventory"]["spec"]["template"]
        return str(pod["metadata"]["annotations"]["checksum/files"])

    assert checksum() == checksum()
    assert checksum() != checksum(catalogue=[{"id": "Tea", "name": "Tea", "unitPrice": 1, "onHand": 1}])


def test_there_is_a_mail_catcher_until_there_are_real_providers(render: Any) -> None:
    smtp, sms = {"host": "smtp.example.com"}, {"url": "https://sms.example.com"}
    assert "oms-mailcatcher" in render().of("Deployment")
    assert "oms-mailcatcher" in render({"notifications.smtp": smtp}).of("Deployment")
    assert "oms-mailcatcher" not in render({"notifications": {"smtp": smtp, "sms": sms}}).of("Deployment")
    assert "oms-mailcatcher" in render({"notifications": {"smtp": smtp, "sms": sms}, "mailCatcher.enabled": True}).of(
        "Deployment"
    )


def test_a_disabled_service_has_no_resources(render: Any) -> None:
    rendered = render({"services.sms.enabled": False})
    assert not [one["metadata"]["name"] for one in rendered.all if "oms-sms" in one["metadata"]["name"]]
