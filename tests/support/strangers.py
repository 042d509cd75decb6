"""Pods of a cluster that belong to nothing, and what they can connect to."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from support.cluster import NAMESPACE, Cluster

ELSEWHERE = "oms-strangers"
PORT = 8000
_SECURE = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
_LISTEN = f"""
import http.server
http.server.HTTPServer(("", {PORT}), http.server.BaseHTTPRequestHandler).serve_forever()
"""
# Who is refused says so at once or never: both are no. All at the same time, because the latter takes its time.
_TRY = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor

def reached(target):
    try:
        socket.create_connection(target, timeout=5).close()
    except OSError:
        return False
    return True

targets = [tuple(one) for one in json.loads(sys.argv[1])]
with ThreadPoolExecutor(32) as pool:
    print(json.dumps([list(target) for target, yes in zip(targets, pool.map(reached, targets)) if yes]))
"""

Target = tuple[str, int]


def reached(cluster: Cluster, pod: str, targets: Sequence[Target], namespace: str = NAMESPACE) -> set[Target]:
    """Those of these that somebody in a pod can connect to."""
    command = ("exec", pod, "--namespace", namespace, "--", "python", "-c", _TRY, json.dumps(list(targets)))
    return {(host, port) for host, port in json.loads(cluster.kubectl(*command))}


@dataclass(frozen=True)
class Stranger:
    """A pod that has no business with the release, and listens itself."""

    cluster: Cluster
    namespace: str
    address: str
    port: int = PORT

    def reached(self, targets: Sequence[Target]) -> set[Target]:
        """Those of these that it can connect to."""
        return reached(self.cluster, "pod/stranger", targets, self.namespace)

    def reaches(self, target: Target) -> bool:
        """Whether it can connect there."""
        return bool(self.reached([target]))


@contextlib.contextmanager
def strangers(cluster: Cluster) -> Iterator[dict[str, Stranger]]:
    """One in the release's namespace, and one in another."""
    where = {"here": NAMESPACE, "elsewhere": ELSEWHERE}
    cluster.kubectl("create", "namespace", ELSEWHERE)
    try:
        for namespace in where.values():
            cluster.kubectl("create", "--namespace", namespace, "--filename=-", given=json.dumps(_pod(cluster)))
        yield {name: _started(cluster, namespace) for name, namespace in where.items()}
    finally:
        cluster.kubectl("delete", "pod", "stranger", "--ignore-not-found", "--grace-period=1")
        cluster.kubectl("delete", "namespace", ELSEWHERE)


def _started(cluster: Cluster, namespace: str) -> Stranger:
    cluster.kubectl("wait", "pod/stranger", "--namespace", namespace, "--for=condition=Ready", "--timeout=120s")
    pod = json.loads(cluster.kubectl("get", "pod", "stranger", "--namespace", namespace, "--output=json"))
    return Stranger(cluster, namespace, pod["status"]["podIP"])


def _pod(cluster: Cluster) -> dict[str, Any]:
    """With an image that the node has."""
    image = cluster.get("deployment", "oms-order")["spec"]["template"]["spec"]["containers"][0]["image"]
    secure = {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}}
    container = {
        "name": "stranger",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", _LISTEN],
        "securityContext": _SECURE,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "stranger", "labels": {"app": "stranger"}},
        "spec": {"securityContext": secure, "automountServiceAccountToken": False, "containers": [container]},
    }
