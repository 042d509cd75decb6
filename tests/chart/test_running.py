"""Upgrades are refused depending on what is installed already: the chart queries the API server."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.apiserver import Manifest, manifest

from oms_contracts.topics import SERVICES

CHART = Path(__file__).parents[2] / "charts" / "oms"
FIRST = Path(__file__).parent / "releases" / "oms-112641e.tgz"
STRIMZI = "kafka.strimzi.io/v1"

Refused = Callable[..., str]


def topic(name: str, copies: int = 1, **spec: object) -> Manifest:
    return manifest("KafkaTopic", name, STRIMZI, spec={"replicas": copies, **spec})


def pool(name: str, nodes: int, cluster: str = "oms-kafka") -> Manifest:
    return manifest("KafkaNodePool", name, STRIMZI, spec={"replicas": nodes}, labels={"strimzi.io/cluster": cluster})


ONE_NODE = (pool("dual-role", 1), topic("oms-order-created-event", 1), topic("oms-sms-deadletter", 1))


def test_an_upgrade_that_leaves_the_nodes_unchanged_succeeds(refused: Refused) -> None:
    assert refused() == ""
    assert refused(*ONE_NODE) == ""


def test_more_nodes_are_refused_if_topics_would_need_more_copies(refused: Refused) -> None:
    refusal = refused(*ONE_NODE, kafka__strimzi__nodes=3)
    assert "1 copies" in refusal
    assert "first install" in refusal
    assert "kafka.replication=1" in refusal


def test_more_nodes_are_accepted_with_as_many_copies_as_before(refused: Refused) -> None:
    assert refused(*ONE_NODE, kafka__strimzi__nodes=3, kafka__replication=1) == ""


def test_another_number_of_copies_is_refused_in_an_existing_cluster(refused: Refused) -> None:
    shared = {"kafka__strimzi__createCluster": False, "kafka__strimzi__clusterName": "shared"}
    assert "kafka.replication=1" in refused(topic("oms-order-created-event", 1), **shared)
    assert refused(topic("oms-order-created-event", 3), pool("theirs", 3, "shared"), **shared) == ""


def test_another_node_pool_is_refused_because_it_would_be_empty(refused: Refused) -> None:
    before = pool("oms-kafka", 1)
    assert "kafka.strimzi.nodePool=oms-kafka" in refused(before)
    assert refused(before, kafka__strimzi__nodePool="oms-kafka") == ""
    assert refused(pool("theirs", 3, "other-kafka")) == ""


def test_topics_of_another_installation_are_not_shared(refused: Refused) -> None:
    shared = {"kafka__strimzi__createCluster": False, "kafka__strimzi__clusterName": "shared"}
    theirs = topic("other-oms-order-created-event", 3, topicName="orderCreatedEvent")
    theirs["metadata"]["labels"] = {"strimzi.io/cluster": "shared"}
    assert "kafka.prefix" in refused(theirs, **shared)
    assert refused(theirs, **shared, kafka__prefix="two.") == ""
    theirs["metadata"]["labels"] = {"strimzi.io/cluster": "another"}
    assert refused(theirs, **shared) == ""


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"services__payment__autoscaling__type": "keda"}, "KEDA"),
        ({"serviceMonitor__enabled": True}, "the Prometheus Operator"),
        ({"httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]}}, "the Gateway API"),
    ],
)
def test_a_missing_operator_is_named(refused: Refused, values: dict[str, Any], said: str) -> None:
    assert f"install {said} first" in refused(**values)


def volume(name: str, **labels: str) -> Manifest:
    return manifest("PersistentVolumeClaim", name, labels={key.replace("__", "/"): v for key, v in labels.items()})


ORDER = volume("data-oms-order-postgres-0")
BROKER = volume("data-oms-kafka-0")


@pytest.mark.parametrize("mode", ["cnpg", "embedded"])
def test_databases_are_not_left_behind_by_another_mode(refused: Refused, mode: str) -> None:
    theirs = ORDER if mode == "embedded" else volume("x-1", **{"cnpg.io__cluster": "oms-order-postgres"})
    other = "cnpg" if mode == "embedded" else "embedded"
    refusal = refused(theirs, database__mode=other)
    assert "the service order has its data" in refusal
    assert "docs/backup.md" in refusal
    assert refused(theirs, database__mode=mode) == ""
    assert refused(theirs, database__mode=other, database__acceptEmpty=True) == ""


@pytest.mark.parametrize("mode", ["strimzi", "embedded"])
def test_events_are_not_left_behind_by_another_kafka(refused: Refused, mode: str) -> None:
    theirs = BROKER if mode == "embedded" else volume("x-0", **{"strimzi.io__cluster": "oms-kafka"})
    other = "strimzi" if mode == "embedded" else "embedded"
    refusal = refused(theirs, kafka__mode=other)
    assert "the events of this release" in refusal
    assert "docs/backup.md" in refusal
    assert refused(theirs, kafka__mode=mode) == ""
    assert refused(theirs, kafka__mode=other, kafka__acceptEmpty=True) == ""


ELSEWHERE = {
    **{f"services.{name}.database.existingSecret": f"{name}-db" for name in SERVICES},
    "kafka.external": {"bootstrapServers": "kafka.example.com:9092", "securityProtocol": "PLAINTEXT"},
}


def running(render: Any, values: Mapping[str, Any], chart: Path = CHART) -> list[Manifest]:
    """Return the services as they run with these values."""
    return list(render(values, chart=chart).of("Deployment").values())


@pytest.mark.parametrize("mode", ["cnpg", "embedded"])
def test_external_databases_are_not_left_behind(refused: Refused, render: Any, mode: str) -> None:
    """That would happen in an upgrade without the values of the last release."""
    theirs = running(render, {**ELSEWHERE, "database.mode": "external"})
    refusal = refused(*theirs, database__mode=mode)
    assert "email is where the secret email-db says" in refusal
    assert "helm get values" in refusal
    assert refused(*theirs, database__mode=mode, database__acceptEmpty=True) == ""


@pytest.mark.parametrize("mode", ["strimzi", "embedded"])
def test_events_in_an_external_kafka_are_not_left_behind(refused: Refused, render: Any, mode: str) -> None:
    theirs = running(render, {**ELSEWHERE, "kafka.mode": "external"})
    own = {f"services__{name}__database__existingSecret": f"{name}-db" for name in SERVICES}
    refusal = refused(*theirs, kafka__mode=mode, **own)
    assert "its events at kafka.example.com:9092" in refusal
    assert refused(*theirs, kafka__mode=mode, kafka__acceptEmpty=True, **own) == ""


@pytest.mark.parametrize("mode", ["strimzi", "embedded"])
def test_topics_keep_their_prefix_in_every_mode(refused: Refused, render: Any, mode: str) -> None:
    theirs = running(render, {"kafka.mode": mode, "kafka.prefix": "staging."})
    assert 'kafka.prefix="staging."' in refused(*theirs, kafka__mode=mode)
    assert refused(*theirs, kafka__mode=mode, kafka__prefix="staging.") == ""


@pytest.mark.parametrize("kafka", ["strimzi", "embedded"])
@pytest.mark.parametrize("database", ["cnpg", "embedded"])
@pytest.mark.parametrize("chart", [CHART, FIRST], ids=["this one", "the first"])
def test_an_unchanged_installation_is_upgraded(
    refused: Refused, render: Any, chart: Path, database: str, kafka: str
) -> None:
    """Also if an installation has not got as far as having volumes."""
    theirs = running(render, {"kafka.mode": kafka, "database.mode": database}, chart)
    assert theirs
    assert refused(*theirs, kafka__mode=kafka, database__mode=database) == ""


def test_a_user_s_own_secret_may_replace_the_generated_one(refused: Refused, render: Any) -> None:
    theirs = running(render, {"kafka.mode": "embedded"})
    own = {"services__order__database__existingSecret": "mine", "kafka__mode": "embedded"}
    assert refused(*theirs, ORDER, **own) == ""


def test_volumes_of_others_are_ignored(refused: Refused) -> None:
    others = (
        volume("data-shop-order-postgres-0"),
        volume("oms-order-postgres-0"),
        volume("x", **{"cnpg.io__cluster": "b"}),
    )
    assert refused(*others, database__mode="cnpg") == ""


def stateful(name: str, size: str, **spec: str) -> Manifest:
    template = {"spec": {"resources": {"requests": {"storage": size}}, **spec}}
    return manifest("StatefulSet", name, "apps/v1", spec={"volumeClaimTemplates": [template]})


SETS = {"oms-order-postgres": "database__storage__size", "oms-kafka": "kafka__embedded__size"}


@pytest.mark.parametrize(("name", "value"), SETS.items(), ids=SETS)
def test_the_size_of_a_volume_is_changed_as_kubernetes_permits(refused: Refused, name: str, value: str) -> None:
    theirs, embedded = stateful(name, "8Gi"), {"kafka__mode": "embedded"}
    assert refused(theirs, **embedded, **{value: "8192Mi"}) == ""
    larger = refused(theirs, **embedded, **{value: "9Gi"})
    assert f"kubectl -n shop patch pvc data-{name}-0" in larger
    assert f"delete statefulset {name} --cascade=orphan" in larger
    assert "do not shrink to 7Gi" in refused(theirs, **embedded, **{value: "7Gi"})


def test_an_upgrade_does_not_silently_ignore_a_change_of_the_backups_volume(refused: Refused) -> None:
    """The volume is not part of a release, so a larger size would change nothing, but be believed."""
    spec = {"storageClassName": "standard", "resources": {"requests": {"storage": "5Gi"}}}
    theirs, backup = manifest("PersistentVolumeClaim", "oms-backup", spec=spec), "database__embedded__backup"
    backed_up = {f"{backup}__enabled": True}
    assert refused(theirs, **backed_up) == ""
    assert refused(theirs, **{f"{backup}__size": "9Gi"}) == ""  # backups are not enabled
    larger = refused(theirs, **backed_up, **{f"{backup}__size": "9Gi"})
    assert "kubectl -n shop patch pvc oms-backup" in larger
    assert refused(theirs, **backed_up, **{f"{backup}__size": "4Gi"}) == ""  # it was grown by hand
    assert "does not change its class" in refused(theirs, **backed_up, **{f"{backup}__storageClass": "fast"})
    assert refused(theirs, **backed_up, **{f"{backup}__storageClass": "standard"}) == ""


def test_a_volume_keeps_its_storage_class(refused: Refused) -> None:
    theirs = stateful("oms-order-postgres", "2Gi", storageClassName="fast")
    assert "does not change its class" in refused(theirs)
    assert refused(theirs, database__storage__className="fast") == ""


def test_partitions_grow_and_do_not_shrink(refused: Refused) -> None:
    theirs = topic("oms-order-created-event", partitions=6)
    assert "topics.orderCreatedEvent.partitions=6" in refused(theirs)
    assert refused(theirs, topicDefaults__partitions=6) == ""
    assert refused(theirs, topicDefaults__partitions=12) == ""


def test_a_topic_keeps_its_name(refused: Refused) -> None:
    theirs = topic("oms-order-created-event", topicName="staging.orderCreatedEvent")
    assert 'kafka.prefix="staging."' in refused(theirs)
    assert refused(theirs, kafka__prefix="staging.") == ""


def test_names_that_an_earlier_release_cut_are_kept(helm: Any) -> None:
    long = "an-installation-with-a-name-of-its-own"
    theirs = manifest("Deployment", f"{long[:30]}-order", "apps/v1")
    before = f"fullnameOverride={long[:30]}"
    assert before in helm.live([theirs], "--is-upgrade", f"--set=fullnameOverride={long}").stderr
    assert helm.live([theirs], "--is-upgrade", f"--set={before}").returncode == 0
