"""What an upgrade refuses because of what is installed already: the chart asks the API server."""

from collections.abc import Callable

from support.apiserver import Manifest, manifest

STRIMZI = "kafka.strimzi.io/v1"

Refused = Callable[..., str]


def topic(name: str, copies: int) -> Manifest:
    return manifest("KafkaTopic", name, STRIMZI, spec={"replicas": copies})


def pool(name: str, nodes: int, cluster: str = "oms-kafka") -> Manifest:
    return manifest("KafkaNodePool", name, STRIMZI, spec={"replicas": nodes}, labels={"strimzi.io/cluster": cluster})


ONE_NODE = (pool("dual-role", 1), topic("oms-order-created-event", 1), topic("oms-sms-deadletter", 1))


def test_an_upgrade_that_leaves_the_nodes_as_they_are_goes_through(refused: Refused) -> None:
    assert refused() == ""
    assert refused(*ONE_NODE) == ""


def test_more_nodes_are_refused_where_topics_would_need_more_copies(refused: Refused) -> None:
    refusal = refused(*ONE_NODE, kafka__strimzi__nodes=3)
    assert "1 copies" in refusal
    assert "first install" in refusal
    assert "kafka.replication=1" in refusal


def test_more_nodes_are_taken_with_as_many_copies_as_before(refused: Refused) -> None:
    assert refused(*ONE_NODE, kafka__strimzi__nodes=3, kafka__replication=1) == ""


def test_other_copies_are_refused_in_a_cluster_that_somebody_else_made(refused: Refused) -> None:
    shared = {"kafka__strimzi__createCluster": False, "kafka__strimzi__clusterName": "shared"}
    assert "kafka.replication=1" in refused(topic("oms-order-created-event", 1), **shared)
    assert refused(topic("oms-order-created-event", 3), pool("theirs", 3, "shared"), **shared) == ""


def test_another_node_pool_is_refused_because_it_would_be_empty(refused: Refused) -> None:
    before = pool("oms-kafka", 1)
    assert "kafka.strimzi.nodePool=oms-kafka" in refused(before)
    assert refused(before, kafka__strimzi__nodePool="oms-kafka") == ""
    assert refused(pool("theirs", 3, "other-kafka")) == ""
