"""Pods of a cluster that do not belong to the release, and what they can connect to."""

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
# A refusal comes at once or never; both count as no. All targets are tried at the same time, because waiting is slow.
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
    """Return the targets to which a process in the pod can connect."""
    command = ("exec", pod, "--namespace", namespace, "--", "python", "-c", _TRY, json.dumps(list(targets)))
    return {(host, port) for host, port in json.loads(cluster.kubectl(*command))}


@dataclass(frozen=True)
class Stranger:
    """A pod that does not belong to the release, and listens itself."""

    cluster: Cluster
    namespace: str
    address: str
    port: int = PORT

    def reached(self, targets: Sequence[Target]) -> set[Target]:
        """Return the targets to which it can connect."""
        return reached(self.cluster, "pod/stranger", targets, self.namespace)

    def reaches(self, target: Target) -> bool:
        """Whether it can connect to the target."""
        return bool(self.reached([target]))


@contextlib.contextmanager
def strangers(cluster: Cluster) -> Iterator[dict[str, Stranger]]:
    """Yield one in the release's namespace, and one in another."""
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
    """Return a pod with an image that the node has."""
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
