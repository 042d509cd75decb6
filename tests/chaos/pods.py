"""The kinds of faults that Kubernetes, and those who operate it, inflict on the pods of a release."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cache, partial
from typing import Any
from uuid import uuid4

import yaml
from incidents import faults
from support import pods
from support.cluster import CHART, RELEASE, Cluster

from chaos.kinds import ALL
from chaos.rounds import Kind
from oms_contracts.topics import SERVICES

Block = Callable[[Cluster, str], AbstractContextManager[None]]
DATABASES = tuple(f"{name}-postgres" for name in SERVICES)
STATEFUL = (*DATABASES, "kafka")
AT_ONCE = (1, 3)  # faults in a round: pods take longer to come back than processes
# Connections that the chart's policies forbid the order service.
FORBIDDEN = """
import socket
try:
    socket.create_connection(("oms-inventory-postgres", 5432), 5.0)
    print("reached")
except OSError:
    print("refused")
"""


def _at_once(act: Callable[[Cluster, str], object]) -> Block:
    return lambda cluster, target: faults.at_once(partial(act, cluster, target))


def _roll(cluster: Cluster, service: str) -> None:
    cluster.kubectl("rollout", "restart", f"deployment/oms-{service}")


def _scaled(kind: str, meanwhile: int) -> Block:
    @contextmanager
    def scaled(cluster: Cluster, component: str) -> Iterator[None]:
        cluster.kubectl("scale", f"{kind}/oms-{component}", f"--replicas={meanwhile}")
        try:
            yield
        finally:
            cluster.kubectl("scale", f"{kind}/oms-{component}", "--replicas=1")

    return scaled


@contextmanager
def _upgraded(cluster: Cluster, _: str) -> Iterator[None]:
    """Roll out every service again, and roll the release back before that is finished."""
    mark = f"--set=serviceDefaults.podAnnotations.changed={uuid4().hex}"
    cluster.helm("upgrade", RELEASE, str(CHART), "--reuse-values", mark)
    try:
        yield
    finally:
        cluster.helm("rollback", RELEASE)


@contextmanager
def _cut_off(cluster: Cluster, component: str) -> Iterator[None]:
    """Let a component's policy forbid all access. Open connections survive that, so its pod is replaced, too."""
    policy = _policy(cluster, f"oms-{component}")
    _apply(cluster, {**policy, "spec": {**policy["spec"], "ingress": []}})
    try:
        pods.kill(cluster, component)
        yield
    finally:
        _apply(cluster, policy)


def _policy(cluster: Cluster, name: str) -> dict[str, Any]:
    """Return the release's policy as in its manifest."""
    for one in yaml.safe_load_all(cluster.helm("get", "manifest", RELEASE)):
        if one and (one["kind"], one["metadata"]["name"]) == ("NetworkPolicy", name):
            return dict(one)
    raise AssertionError(f"no policy {name}")


def _apply(cluster: Cluster, policy: Mapping[str, Any]) -> None:
    # Applied as Helm does: Helm's next upgrade would refuse to change fields that another manager has set.
    whose = ("--server-side", "--field-manager=helm", "--force-conflicts")
    cluster.kubectl("apply", *whose, "--filename=-", given=json.dumps(policy))


@cache
def not_enforced() -> str | None:
    """Return why policies have no effect, if so: the order service can make connections that the chart's forbid."""
    found = Cluster().kubectl("exec", "deployment/oms-order", "--", "python", "-c", FORBIDDEN)
    return "nothing enforces NetworkPolicies" if "reached" in found else None


KINDS: Mapping[str, Kind[Cluster]] = {
    "pod killed": Kind((*SERVICES, *STATEFUL), _at_once(pods.kill)),
    "pod deleted": Kind((*SERVICES, *STATEFUL), _at_once(pods.stop)),
    "pod evicted": Kind(SERVICES, _at_once(pods.evict_all)),
    "out of memory": Kind(SERVICES, _at_once(pods.starve)),
    "rolled out again": Kind(SERVICES, _at_once(_roll)),
    "second replica joins and leaves": Kind(SERVICES, _scaled("deployment", 2)),
    "no pod for a while": Kind(STATEFUL, _scaled("statefulset", 0)),
    "cut off by its policy": Kind(STATEFUL, _cut_off, obstacle=not_enforced),
    "upgraded and rolled back": Kind(ALL, _upgraded),
}
TARGETS = {name: kind.targets for name, kind in KINDS.items()}


def touched(_: str, target: str) -> frozenset[str]:
    """Return what a fault needs for itself: its target."""
    return frozenset((*SERVICES, *STATEFUL) if target == "all" else (target,))
