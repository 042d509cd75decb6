"""The kinds of faults that Kubernetes, and whoever runs it, does to the pods of a release."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from uuid import uuid4

from support import pods
from support.cluster import CHART, RELEASE, Cluster

from chaos.kinds import ALL
from chaos.rounds import Kind
from oms_contracts.topics import SERVICES

DATABASES = tuple(f"{name}-postgres" for name in SERVICES)
STATEFUL = (*DATABASES, "kafka")


@contextmanager
def _killed(cluster: Cluster, component: str) -> Iterator[None]:
    pods.kill(cluster, component)
    yield


@contextmanager
def _stopped(cluster: Cluster, component: str) -> Iterator[None]:
    pods.stop(cluster, component)
    yield


@contextmanager
def _evicted(cluster: Cluster, service: str) -> Iterator[None]:
    for pod in pods.names(cluster, service):
        pods.evict(cluster, pod)
    yield


@contextmanager
def _starved(cluster: Cluster, service: str) -> Iterator[None]:
    pods.starve(cluster, service)
    yield


@contextmanager
def _rolled(cluster: Cluster, service: str) -> Iterator[None]:
    cluster.kubectl("rollout", "restart", f"deployment/oms-{service}")
    yield


def _scaled(kind: str, meanwhile: int) -> Callable[[Cluster, str], Iterator[None]]:
    def scaled(cluster: Cluster, component: str) -> Iterator[None]:
        cluster.kubectl("scale", f"{kind}/oms-{component}", f"--replicas={meanwhile}")
        try:
            yield
        finally:
            cluster.kubectl("scale", f"{kind}/oms-{component}", "--replicas=1")

    return scaled


@contextmanager
def _upgraded(cluster: Cluster, _: str) -> Iterator[None]:
    """Every service is rolled out again, and the release goes back before that is over."""
    mark = f"--set=serviceDefaults.podAnnotations.changed={uuid4().hex}"
    cluster.helm("upgrade", RELEASE, str(CHART), "--reuse-values", mark)
    try:
        yield
    finally:
        cluster.helm("rollback", RELEASE)


KINDS: Mapping[str, Kind[Cluster]] = {
    "pod killed": Kind((*SERVICES, *STATEFUL), _killed),
    "pod deleted": Kind((*SERVICES, *STATEFUL), _stopped),
    "pod evicted": Kind(SERVICES, _evicted),
    "out of memory": Kind(SERVICES, _starved),
    "rolled out again": Kind(SERVICES, _rolled),
    "second replica joins and leaves": Kind(SERVICES, contextmanager(_scaled("deployment", 2))),
    "no pod for a while": Kind(STATEFUL, contextmanager(_scaled("statefulset", 0))),
    "upgraded and rolled back": Kind(ALL, _upgraded),
}
TARGETS = {name: kind.targets for name, kind in KINDS.items()}


def touched(_: str, target: str) -> frozenset[str]:
    """What a fault has for itself: its target."""
    return frozenset((*SERVICES, *STATEFUL) if target == "all" else (target,))
