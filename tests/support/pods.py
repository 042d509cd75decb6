"""Kills pods, evicts them, and makes them run out of memory."""

import contextlib
import json

from support.cluster import NAMESPACE, Cluster

# Many processes that are each smaller than the service: the kernel kills the largest one, or all of them.
GREEDY = """
import os, time
for _ in range(64):
    if os.fork() == 0:
        kept = bytearray(b".") * (16 << 20)
        time.sleep(60)
time.sleep(60)
"""


def names(cluster: Cluster, component: str) -> list[str]:
    """Return the names of a component's pods that are not terminating."""
    return [pod["metadata"]["name"] for pod in cluster.pods(component)]


def kill(cluster: Cluster, component: str) -> None:
    """Kill every pod of a component at once, as when its node is lost."""
    for pod in names(cluster, component):
        cluster.kubectl("delete", "pod", pod, "--grace-period=0", "--force", "--ignore-not-found")


def stop(cluster: Cluster, component: str) -> None:
    """Delete every pod of a component with its grace period, without waiting for that."""
    for pod in names(cluster, component):
        cluster.kubectl("delete", "pod", pod, "--wait=false", "--ignore-not-found")


def starve(cluster: Cluster, service: str) -> None:
    """Let a service's container run out of memory."""
    with contextlib.suppress(AssertionError):  # it is gone before kubectl gets an answer
        cluster.kubectl("exec", f"deployment/oms-{service}", "--", "python", "-c", GREEDY)


def evict(cluster: Cluster, pod: str) -> bool:
    """Request the eviction of a pod, as draining its node does. Return whether its budget allowed that."""
    request = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": NAMESPACE}}
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}/eviction"
    try:
        cluster.kubectl("create", "--raw", path, "-f", "-", given=json.dumps(request))
    except AssertionError as error:
        if "disruption budget" not in str(error):
            raise
        return False
    return True


def evict_all(cluster: Cluster, component: str) -> None:
    """Request the eviction of each of a component's pods, whatever its budget says."""
    for pod in names(cluster, component):
        evict(cluster, pod)
