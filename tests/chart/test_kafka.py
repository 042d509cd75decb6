"""Topics, users and rights match what the services' code does."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from oms_chassis.messaging.kafka.admin import RETENTION
from oms_chassis.messaging.streams import RECORD_LIMIT
from oms_chassis.settings import Settings
from oms_contracts import topics

ROOT = Path(__file__).parents[2]
BY_CONSTANT = {name: value for name, value in vars(topics).items() if isinstance(value, topics.Topic)}


def subscribed(rendered: Any, service: str) -> set[str]:
    """Return the topics to which the service itself subscribes."""
    return {subscription.topic.name for subscription in rendered.parts(service).subscriptions}


def named_in_code(service: str) -> set[str]:
    """Return the topics whose constants occur anywhere in a service's code."""
    names = set()
    for path in (ROOT / "services" / service / f"oms_{service}").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
            names |= {BY_CONSTANT[name].name} if name in BY_CONSTANT else set()
    return names


def rights(user: dict[str, Any]) -> set[tuple[str, str, str]]:
    """Return a user's rights, as (kind of resource, its name, operation)."""
    assert user["spec"]["authorization"]["type"] == "simple"
    found = set()
    for acl in user["spec"]["authorization"]["acls"]:
        assert acl["resource"]["patternType"] == "literal"
        found |= {(acl["resource"]["type"], acl["resource"]["name"], operation) for operation in acl["operations"]}
    return found


@pytest.mark.parametrize("service", topics.SERVICES)
def test_a_service_may_do_what_its_code_does_and_nothing_else(render: Any, service: str) -> None:
    writes = {topic.name for topic in topics.TOPICS if topic.emitted_by == service} | {topics.dead_letter(service)}
    reads = subscribed(render(), service)
    expected = {
        *(("topic", name, operation) for name in writes for operation in ("Describe", "Write")),
        *(("topic", name, operation) for name in reads for operation in ("Describe", "Read")),
        ("group", service, "Read"),
    }
    assert rights(render().of("KafkaUser")[f"oms-{service}-kafka"]) == expected


@pytest.mark.parametrize("service", topics.SERVICES)
def test_the_contracts_name_the_topics_that_the_code_uses(render: Any, service: str) -> None:
    writes = {topic.name for topic in topics.TOPICS if topic.emitted_by == service}
    reads = {topic.name for topic in topics.TOPICS if service in topic.read_by}
    assert subscribed(render(), service) == reads
    assert writes <= named_in_code(service)


def test_there_is_a_topic_resource_for_every_topic(render: Any) -> None:
    found = {one["spec"]["topicName"]: one for one in render().of("KafkaTopic").values()}
    assert found.keys() == set(topics.names())
    for topic in topics.TOPICS:
        config = found[topic.name]["spec"]["config"]
        assert config["cleanup.policy"] == ("compact" if topic.compacted else "delete")
        assert config["max.message.bytes"] == RECORD_LIMIT
        assert found[topic.name]["spec"]["partitions"] == topics.PARTITIONS
    for one in found.values():
        assert {key: str(one["spec"]["config"][key]) for key in RETENTION} == RETENTION


def test_a_topic_follows_from_the_service_that_produces_it(render: Any) -> None:
    disabled = {"services.loyalty.produces": ["pointsGrantedEvent"], "services.loyalty.enabled": False}
    names = {one["spec"]["topicName"] for one in render(disabled).of("KafkaTopic").values()}
    assert "pointsGrantedEvent" in names  # its records are read by others
    assert "loyalty.deadletter" not in names


def test_a_topic_of_another_system_is_listed_in_the_topics(render: Any) -> None:
    found = render({"services.sms.consumes": ["parcelSentEvent"], "topics.parcelSentEvent": {"partitions": 6}})
    topic = found.of("KafkaTopic")["oms-parcel-sent-event"]
    assert topic["spec"]["partitions"] == 6
    assert topic["spec"]["config"]["cleanup.policy"] == "delete"


def test_names_of_topic_resources_are_lower_case_and_distinct(render: Any) -> None:
    names = list(render().of("KafkaTopic"))
    assert "oms-order-created-event" in names
    assert all(name == name.lower() for name in names)


def test_production_keeps_three_copies_and_needs_two(render: Any) -> None:
    rendered = render(file=ROOT / "charts/oms/values-production.yaml")
    config = rendered.of("Kafka")["oms-kafka"]["spec"]["kafka"]["config"]
    assert (config["default.replication.factor"], config["min.insync.replicas"]) == (3, 2)
    assert config["offsets.topic.replication.factor"] == 3
    assert {one["spec"]["replicas"] for one in rendered.of("KafkaTopic").values()} == {3}
    assert {one["spec"]["config"]["min.insync.replicas"] for one in rendered.of("KafkaTopic").values()} == {2}
    assert rendered.of("KafkaNodePool")["broker"]["spec"]["replicas"] == 3


def test_topics_in_an_existing_cluster_have_three_copies_and_need_two(render: Any) -> None:
    rendered = render({"kafka.strimzi.createCluster": False, "kafka.strimzi.clusterName": "shared"})
    for topic in rendered.of("KafkaTopic").values():
        assert (topic["spec"]["replicas"], topic["spec"]["config"]["min.insync.replicas"]) == (3, 2)


def topics_job(rendered: Any) -> dict[str, Any]:
    found: dict[str, Any] = next(one for name, one in rendered.of("Job").items() if "topics" in name)
    return found


def test_the_job_and_the_topic_operator_make_the_same_topics(helm: Any) -> None:
    """They include those of a sixth service, and entries of `topics`."""
    file = ROOT / "charts/oms/ci/sixth-values.yaml"
    more = {"topics.orderCreatedEvent": {"partitions": 5, "config": {"retention.ms": 2_592_000_000}}}
    operator = helm.render(more, file).of("KafkaTopic").values()
    job = topics_job(helm.render({**more, "kafka.mode": "embedded"}, file))
    given = json.loads(environment(job["spec"]["template"]["spec"]["containers"][0])["OMS_KAFKA_TOPICS"])
    expected = {
        one["spec"]["topicName"]: {
            "partitions": one["spec"]["partitions"],
            "config": {k: str(v) for k, v in one["spec"]["config"].items() if k != "min.insync.replicas"},
        }
        for one in operator
    }
    assert given == expected
    assert given["orderCreatedEvent"]["config"]["retention.ms"] == "2592000000"
    assert {"pointsGrantedEvent", "loyalty-points.deadletter"} <= given.keys()


def test_the_job_can_parse_its_topics(render: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    container = topics_job(render({"kafka.mode": "embedded"}))["spec"]["template"]["spec"]["containers"][0]
    for name, value in environment(container).items():
        monkeypatch.setenv(name, value if isinstance(value, str) else "postgresql://nobody@localhost:1/none")
    assert (Settings().kafka_topics or {}).keys() == set(topics.names())


PREFIXED = {"kafka.prefix": "staging.", "services.payment.autoscaling.type": "keda"}


def test_every_name_of_a_topic_or_group_has_the_prefix(render: Any) -> None:
    rendered, plain = render(PREFIXED), render({"services.payment.autoscaling.type": "keda"})
    assert {one["spec"]["topicName"] for one in rendered.of("KafkaTopic").values()} == {
        f"staging.{name}" for name in topics.names()
    }
    for name, user in plain.of("KafkaUser").items():
        expected = {(kind, f"staging.{what}", operation) for kind, what, operation in rights(user)}
        assert rights(rendered.of("KafkaUser")[name]) == expected
    for trigger in rendered.of("ScaledObject")["oms-payment"]["spec"]["triggers"]:
        assert trigger["metadata"]["topic"].startswith("staging.")
        assert trigger["metadata"]["consumerGroup"] == "staging.payment"
    for service in topics.SERVICES:
        assert environment(rendered.container(f"oms-{service}"))["OMS_KAFKA_PREFIX"] == "staging."
        assert rendered.parts(service)
    pod = topics_job(render({"kafka.prefix": "staging.", "kafka.mode": "embedded"}))["spec"]["template"]["spec"]
    assert environment(pod["containers"][0])["OMS_KAFKA_PREFIX"] == "staging."


@pytest.mark.parametrize(
    ("values", "copies"),
    [
        ({"kafka.mode": "embedded"}, ("1", "1")),
        ({"kafka.mode": "external"}, ("3", "2")),
        ({"kafka.mode": "external", "kafka.minInSyncReplicas": 1}, ("3", "1")),
    ],
    ids=str,
)
def test_the_job_makes_topics_with_the_requested_number_of_copies(
    render: Any, values: dict[str, Any], copies: tuple[str, str]
) -> None:
    external = {"kafka.external": {"bootstrapServers": "k:9092", "securityProtocol": "PLAINTEXT"}}
    job = topics_job(render({**external, **values}))
    found = environment(job["spec"]["template"]["spec"]["containers"][0])
    assert (found["OMS_KAFKA_REPLICATION"], found["OMS_KAFKA_MIN_IN_SYNC"]) == copies


def test_the_node_pool_can_have_another_name_in_a_namespace_with_two(render: Any) -> None:
    rendered = render({"kafka.strimzi.nodePool": "second"})
    assert rendered.of("KafkaNodePool").keys() == {"second"}
    assert rendered.of("KafkaNodePool")["second"]["metadata"]["labels"]["strimzi.io/cluster"] == "oms-kafka"


def test_topics_are_never_created_automatically(render: Any) -> None:
    assert render().of("Kafka")["oms-kafka"]["spec"]["kafka"]["config"]["auto.create.topics.enable"] is False
    properties = render({"kafka.mode": "embedded"}).of("ConfigMap")["oms-kafka"]["data"]["server.properties"]
    assert "auto.create.topics.enable=false" in properties


def test_an_uninstall_does_not_hang_on_finalizers(render: Any) -> None:
    operator = render().of("Kafka")["oms-kafka"]["spec"]["entityOperator"]["template"]["topicOperatorContainer"]
    assert {"name": "STRIMZI_USE_FINALIZERS", "value": "false"} in operator["env"]


def environment(container: dict[str, Any]) -> dict[str, Any]:
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in container["env"]}


def test_strimzi_s_services_connect_by_tls_and_scram_each_as_itself(render: Any) -> None:
    found = environment(render().container("oms-payment"))
    assert found["OMS_KAFKA_BOOTSTRAP"] == "oms-kafka-kafka-bootstrap.shop.svc:9093"
    assert (found["OMS_KAFKA_SECURITY_PROTOCOL"], found["OMS_KAFKA_SASL_MECHANISM"]) == ("SASL_SSL", "SCRAM-SHA-512")
    assert found["OMS_KAFKA_USERNAME"] == "oms-payment-kafka"
    assert found["OMS_KAFKA_PASSWORD"]["secretKeyRef"] == {"name": "oms-payment-kafka", "key": "password"}
    assert found["OMS_KAFKA_CA_FILE"] == "/etc/oms/kafka-ca/ca.crt"


def test_client_certificates_come_from_the_user_s_secret(render: Any) -> None:
    rendered = render({"kafka.strimzi.authentication": "tls"})
    found = environment(rendered.container("oms-sms"))
    assert found["OMS_KAFKA_SECURITY_PROTOCOL"] == "SSL"
    assert "OMS_KAFKA_PASSWORD" not in found
    volumes = {one["name"]: one for one in rendered.pods()["Deployment/oms-sms"]["volumes"]}
    assert volumes["kafka-user"]["secret"]["secretName"] == "oms-sms-kafka"
    assert volumes["kafka-ca"]["secret"]["secretName"] == "oms-kafka-cluster-ca-cert"


def test_external_kafka_accepts_one_secret_for_all_or_one_per_service(render: Any) -> None:
    rendered = render(file=ROOT / "charts/oms/ci/external-values.yaml")
    secrets = {
        name: environment(rendered.container(f"oms-{name}"))["OMS_KAFKA_PASSWORD"]["secretKeyRef"]["name"]
        for name in topics.SERVICES
    }
    assert secrets["payment"] == "payment-kafka"
    assert {secrets[name] for name in topics.SERVICES if name != "payment"} == {"kafka-credentials"}


@pytest.mark.parametrize(("mode", "jobs"), [("strimzi", 0), ("embedded", 1)])
def test_a_job_creates_topics_if_no_operator_does(render: Any, mode: str, jobs: int) -> None:
    found = {name: one for name, one in render({"kafka.mode": mode}).of("Job").items() if "topics" in name}
    assert len(found) == jobs
    for job in found.values():
        container = job["spec"]["template"]["spec"]["containers"][0]
        assert container["command"] == ["python", "-m", "oms_order.main", "topics"]
        assert "helm.sh/hook" not in job["metadata"].get("annotations", {})  # --wait would wait for ever


def test_a_sixth_service_is_one_entry(render: Any) -> None:
    rendered = render(file=ROOT / "charts/oms/ci/sixth-values.yaml")
    name = "oms-loyalty-points"
    for kind in ("Deployment", "Service", "ServiceAccount", "NetworkPolicy", "PodDisruptionBudget"):
        assert name in rendered.of(kind), kind
    assert f"{name}-postgres" in rendered.of("StatefulSet")
    assert f"{name}-database" in rendered.text
    assert rendered.container(name)["command"] == ["python", "-m", "oms_loyalty_points.main", "serve"]
    assert ("topic", "inventoryUpdatedEvent", "Read") in rights(rendered.of("KafkaUser")[f"{name}-kafka"])
    assert {"pointsGrantedEvent", "loyalty-points.deadletter"} <= {
        one["spec"]["topicName"] for one in rendered.of("KafkaTopic").values()
    }
