"""What an upgrade refuses because of what is installed already: the chart asks the API server."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

STRIMZI = "kafka.strimzi.io/v1"
LOOKED_UP = ("KafkaTopic", "KafkaNodePool")
Installed = dict[str, Any]  # an object of Strimzi's: its kind, metadata and spec


def topic(name: str, copies: int) -> Installed:
    return installed("KafkaTopic", name, {"replicas": copies})


def pool(name: str, nodes: int, cluster: str = "oms-kafka") -> Installed:
    return installed("KafkaNodePool", name, {"replicas": nodes}, {"strimzi.io/cluster": cluster})


def installed(kind: str, name: str, spec: dict[str, Any], labels: dict[str, str] | None = None) -> Installed:
    metadata = {"name": name, "namespace": "shop", "labels": labels or {}}
    return {"apiVersion": STRIMZI, "kind": kind, "metadata": metadata, "spec": spec}


class Cluster(ThreadingHTTPServer):
    """As much of a Kubernetes API server as Helm asks when it renders: version, kinds, and what is installed."""

    daemon_threads = True

    def __init__(self, kinds: set[tuple[str, str]], found: list[Installed]) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.answers = dict(_discovery(kinds))
        for kind in LOOKED_UP:
            path = f"/apis/{STRIMZI}/namespaces/shop/{plural(kind)}"
            ones = [one for one in found if one["kind"] == kind]
            self.answers[path] = {"apiVersion": STRIMZI, "kind": f"{kind}List", "metadata": {}, "items": ones}
            self.answers |= {f"{path}/{one['metadata']['name']}": one for one in ones}


class _Answers(BaseHTTPRequestHandler):
    server: Cluster

    def do_GET(self) -> None:
        found = self.server.answers.get(self.path.partition("?")[0])
        missing = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
        body = json.dumps(found or missing).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: the test says what matters."""


def _discovery(kinds: set[tuple[str, str]]) -> Iterator[tuple[str, Any]]:
    """The kinds that the server has, (apiVersion, kind) each."""
    groups = []
    for version in {version for version, _ in kinds}:
        resources = [
            {"name": plural(kind), "kind": kind, "namespaced": True, "verbs": ["get", "list"]}
            for other, kind in kinds
            if other == version
        ]
        path = f"/apis/{version}" if "/" in version else f"/api/{version}"
        yield path, {"kind": "APIResourceList", "groupVersion": version, "resources": resources}
        if "/" in version:
            name, _, short = version.partition("/")
            named = {"groupVersion": version, "version": short}
            groups.append({"name": name, "versions": [named], "preferredVersion": named})
    yield "/version", {"major": "1", "minor": "34", "gitVersion": "v1.34.0"}
    yield "/api", {"kind": "APIVersions", "versions": ["v1"]}
    yield "/apis", {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def plural(kind: str) -> str:
    """The name of a kind in addresses. Clients learn it from the server, so that any will do."""
    return f"{kind.lower()}s"


Upgrade = Callable[..., str]


@pytest.fixture
def upgrade(helm: Any) -> Iterator[Upgrade]:
    """Render an upgrade over what is installed; why it is refused, or nothing."""
    clusters: list[Cluster] = []
    kinds = {(one["apiVersion"], one["kind"]) for one in helm.render().all}

    def run(*found: Installed, **values: Any) -> str:
        cluster = Cluster(kinds, list(found))
        clusters.append(cluster)
        threading.Thread(target=cluster.serve_forever, daemon=True).start()
        given = [f"--set={key.replace('__', '.')}={value}" for key, value in values.items()]
        where = f"--kube-apiserver=http://127.0.0.1:{cluster.server_address[1]}"
        done = helm.over(where, *given)
        return "" if done.returncode == 0 else str(done.stderr)

    yield run
    for cluster in clusters:
        cluster.shutdown()
        cluster.server_close()


ONE_NODE = (pool("dual-role", 1), topic("oms-order-created-event", 1), topic("oms-sms-deadletter", 1))


def test_an_upgrade_that_leaves_the_nodes_as_they_are_goes_through(upgrade: Upgrade) -> None:
    assert upgrade() == ""
    assert upgrade(*ONE_NODE) == ""


def test_more_nodes_are_refused_where_topics_would_need_more_copies(upgrade: Upgrade) -> None:
    refusal = upgrade(*ONE_NODE, kafka__strimzi__nodes=3)
    assert "1 copies" in refusal
    assert "first install" in refusal
    assert "kafka.replication=1" in refusal


def test_more_nodes_are_taken_with_as_many_copies_as_before(upgrade: Upgrade) -> None:
    assert upgrade(*ONE_NODE, kafka__strimzi__nodes=3, kafka__replication=1) == ""


def test_other_copies_are_refused_in_a_cluster_that_somebody_else_made(upgrade: Upgrade) -> None:
    shared = {"kafka__strimzi__createCluster": "false", "kafka__strimzi__clusterName": "shared"}
    assert "kafka.replication=1" in upgrade(topic("oms-order-created-event", 1), **shared)
    assert upgrade(topic("oms-order-created-event", 3), pool("theirs", 3, "shared"), **shared) == ""


def test_another_node_pool_is_refused_because_it_would_be_empty(upgrade: Upgrade) -> None:
    before = pool("oms-kafka", 1)
    assert "kafka.strimzi.nodePool=oms-kafka" in upgrade(before)
    assert upgrade(before, kafka__strimzi__nodePool="oms-kafka") == ""
    assert upgrade(pool("theirs", 3, "other-kafka")) == ""
