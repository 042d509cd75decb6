"""Measure OMS on a kind cluster of its own, which is made for this and kept: `scripts/footprint.sh --help`."""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from uuid import uuid4

import httpx2
from support import machine
from support.chassis import eventually
from support.cluster import Cluster
from support.load import mix, post
from support.orders import ended

from oms_contracts.topics import SERVICES

_ROOT = Path(__file__).parent.parent
LOST = {"Kafka": "oms-kafka-0", "the order service's database": "oms-order-postgres-0"}
DRAINED = (
    "--pod-selector=app.kubernetes.io/instance=oms",
)  # without the Ingress controller, which is not measured here
SETTLED = 90.0  # seconds after which the metrics server's figures are those of an idle system
RECOVERED = 300.0  # seconds after which the wait is given up


@dataclass(frozen=True)
class Measured:
    """Seconds, MiB by component, and the requests that failed during the rolling update."""

    made: float
    started: Sequence[float]
    idle: Mapping[str, int]
    loaded: Mapping[str, int]
    failed: int
    recovered: Mapping[str, float]
    drained: float


def main() -> int:
    """Measure, print, and write the page if asked to. Return 1 if a request failed during the rolling update."""
    options = _parser().parse_args()
    measured = measure(Cluster(), options.rate, options.seconds)
    written = page(measured, options.rate)
    print(written)
    if options.write:
        options.write.write_text(written)
    return 1 if measured.failed else 0


def measure(cluster: Cluster, rate: float, seconds: float) -> Measured:
    """Make the cluster, and measure one thing after the other on it."""
    made = kind_up()
    started = [ready_seconds(cluster, name) for name in SERVICES]
    time.sleep(SETTLED)
    idle = cluster.memory()
    post(cluster.url, mix(int(rate * seconds)), spread=seconds)
    loaded = cluster.memory()
    failed = rolling_update(cluster, rate, seconds)
    recovered = {what: recovery_seconds(cluster, pod) for what, pod in LOST.items()}
    return Measured(made, started, idle, loaded, failed, recovered, drain_seconds(cluster))


def page(found: Measured, rate: float) -> str:
    """Return the text of docs/footprint.md."""
    lost = ", ".join(f"{what} **{seconds:.0f} s**" for what, seconds in found.recovered.items())
    parts = [
        "# Footprint on Kubernetes",
        (
            f"Written by `{' '.join(['scripts/footprint.sh', *sys.argv[1:]])}` on {datetime.now(UTC):%Y-%m-%d}; "
            f"machine: {machine.describe()}, with the load generator and a cluster of one node on it. The chart's kind "
            "values: embedded Kafka, an embedded Postgres server for each service, one replica of each service."
        ),
        (
            f"`make kind-up`, with the images built: **{found.made:.0f} s** from no cluster to an answer through the "
            "Ingress."
        ),
        (
            f"A service's pod, from its creation to ready: **{median(found.started):.0f} s** (longest "
            f"{max(found.started):.0f} s), the start of its migration's container included."
        ),
        f"Rolling update of all services under {rate:.0f} orders/s: **{found.failed} requests failed**.",
        f"From the deletion of a pod until an order is CONFIRMED that is sent then, until it is accepted: {lost}.",
        (
            "From when the node takes pods again, after all of them were drained from it, until an order is CONFIRMED "
            f"that is sent then: **{found.drained:.0f} s**."
        ),
        "## Images\n\n" + table(("image", "MB"), [(name, f"{size / 1e6:.0f}") for name, size in image_sizes().items()]),
        "## Memory\n\n" + memory_table(found.idle, found.loaded, rate),
    ]
    return "\n\n".join(parts) + "\n"


def kind_up() -> float:
    """Return the seconds that `make kind-up` takes if only the images exist."""
    _run("scripts/images.sh")
    _run("scripts/kind-down.sh")
    began = time.monotonic()
    _run("env", "OMS_SKIP_BUILD=1", "scripts/kind-up.sh")
    return time.monotonic() - began


def ready_seconds(cluster: Cluster, name: str) -> float:
    """Return the seconds that a new pod of a service needs until it is ready; Kubernetes counts whole ones."""
    cluster.kubectl("rollout", "restart", f"deployment/oms-{name}")
    cluster.kubectl("rollout", "status", f"deployment/oms-{name}", "--timeout=120s")
    eventually(lambda: len(cluster.pods(name)) == 1, 60.0)
    pod = cluster.pods(name)[0]
    ready = next(one for one in pod["status"]["conditions"] if one["type"] == "Ready")["lastTransitionTime"]
    return (
        datetime.fromisoformat(ready) - datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
    ).total_seconds()


def rolling_update(cluster: Cluster, rate: float, seconds: float) -> int:
    """Return how many requests got no answer, or another than 202, while every pod was replaced."""
    mark = f"serviceDefaults.podAnnotations.changed={uuid4().hex}"
    orders = mix(int(rate * seconds))
    outcome = post(cluster.url, orders, spread=seconds, meanwhile=lambda: cluster.upgrade(mark))
    cluster.verify(outcome.answers)
    return sum(outcome.refusals.values())


def recovery_seconds(cluster: Cluster, pod: str) -> float:
    """Return the seconds from the deletion of a pod until an order that is sent once it is gone is CONFIRMED."""
    began = time.monotonic()
    cluster.kubectl("delete", "pod", pod)  # returns when it is gone
    await_confirmed(cluster)
    return time.monotonic() - began


def drain_seconds(cluster: Cluster) -> float:
    """Drain the cluster's only node, so that all pods of the release wait until it accepts pods again.

    Return the seconds from that moment until an order that is sent then is CONFIRMED.
    """
    (node,) = (one["metadata"]["name"] for one in cluster.get("nodes")["items"])
    try:
        cluster.kubectl("drain", node, *DRAINED, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=200s")
    finally:
        cluster.kubectl("uncordon", node)
    began = time.monotonic()
    await_confirmed(cluster)
    return time.monotonic() - began


def await_confirmed(cluster: Cluster) -> None:
    """Send an order until it is accepted, and wait until it is CONFIRMED."""
    outcome = post(cluster.url, mix(1), within=RECOVERED)
    with httpx2.Client(base_url=cluster.url, timeout=20.0) as client:
        ended(client, outcome.answers[0].order_id, RECOVERED)


def image_sizes() -> dict[str, int]:
    """Return the size of each service's image in bytes, including the shared layers."""
    found = {}
    for name in SERVICES:
        command = ["docker", "image", "inspect", f"oms/{name}:dev"]
        found[name] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)[0]["Size"]
    return found


def memory_table(idle: Mapping[str, int], loaded: Mapping[str, int], rate: float) -> str:
    """Return a table with a row for each component."""
    rows = [(name, f"{size}", f"{loaded.get(name, 0)}") for name, size in sorted(idle.items())]
    rows.append(("together", f"{sum(idle.values())}", f"{sum(loaded.values())}"))
    return table(("pod", "idle, MiB", f"at {rate:.0f} orders/s, MiB"), rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def _run(*command: str) -> None:
    subprocess.run(command, cwd=_ROOT, check=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/footprint.sh", description=__doc__)
    parser.add_argument("--rate", type=float, default=30.0, help="orders/s through the Ingress (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of load (default %(default)s)")
    parser.add_argument("--write", type=Path, help="write the page to this file, too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
