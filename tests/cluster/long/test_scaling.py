"""KEDA scales payment by the lag of its topics, up and down again, without losing an order."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.chassis import eventually
from support.cluster import CONTEXT, NAMESPACE, Cluster
from support.load import mix, post

from .conftest import missing

pytestmark = pytest.mark.cluster

UP, DOWN = 300.0, 900.0  # seconds; KEDA polls every thirty, and the autoscaler scales down after five minutes
ORDERS = 600


# One statement per command, because psql prints the answers to those of one command together.
LOCK = ("BEGIN", "LOCK TABLE inbox", "SELECT 'locked'", "SELECT pg_sleep(3600)")
FREE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(3600)'"


def psql(service: str, *statements: str) -> list[str]:
    """Return kubectl's arguments for statements in a service's database."""
    pod = ("exec", f"oms-{service}-postgres-0", "--container=postgres", "--")
    given = (f"--command={one}" for one in statements)
    where = ("--host=/var/run/postgresql", "--username=postgres", service)
    return [*pod, "psql", *where, "--quiet", "--tuples-only", *given]


@contextmanager
def held(cluster: Cluster, service: str) -> Iterator[None]:
    """Keep the service from applying events during the block, by locking its inbox as a long transaction would."""
    command = ["kubectl", "--context", CONTEXT, "--namespace", NAMESPACE, *psql(service, *LOCK)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == "locked"
            yield
        finally:
            cluster.kubectl(*psql(service, FREE))
            process.kill()


def replicas(cluster: Cluster) -> int:
    """Return how many replicas of payment are ready."""
    return int(cluster.get("deployment", "oms-payment")["status"].get("readyReplicas", 0))


def test_payment_follows_its_lag_from_one_replica_to_three_and_back(cluster: Cluster, keda: str | None) -> None:
    if keda is None:
        missing("no operator of KEDA")
    eventually(lambda: replicas(cluster) == 1, DOWN)
    with held(cluster, "payment"):
        behind = post(cluster.url, mix(ORDERS), spread=30.0)
        eventually(lambda: len(cluster.pods("payment")) == 3, UP)
    while_it_scales = post(cluster.url, mix(ORDERS), spread=60.0)
    eventually(lambda: replicas(cluster) == 3, UP)
    while_it_shrinks = post(cluster.url, mix(ORDERS), spread=60.0)
    eventually(lambda: len(cluster.pods("payment")) == 1, DOWN)
    for outcome in (behind, while_it_scales, while_it_shrinks):
        assert not outcome.refusals
    cluster.verify([*behind.answers, *while_it_scales.answers, *while_it_shrinks.answers])
