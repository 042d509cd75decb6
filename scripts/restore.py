"""Restores an installation on a cluster, as docs/backup.md says; the services are stopped meanwhile.

restore.py dumps                  put the dumps of a backup in place, and let the services read again what came since
restore.py rewind --since TIME    only the latter, after databases were restored otherwise
"""

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

MARGIN = timedelta(hours=1)  # before a backup began: what waited in Kafka then came into the databases later
STEP_SECONDS = 600  # seconds for each step
REPLICAS = "oms/replicas"  # annotation of a Deployment that is stopped: how many replicas it had
PAUSED = "autoscaling.keda.sh/paused"
OF_A_SERVER = ("livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "ports")

Manifest = dict[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; 1 if a command failed."""
    given = _arguments().parse_args(argv)
    cluster = Cluster(given.context, given.namespace, given.release)
    try:
        services = cluster.stop()
        since = given.since or _began(cluster.restore(given.stamp)) - MARGIN
        for service in services.values():
            print(cluster.rewind(service, since))
        cluster.start(services)
        print("If the inventory was restored, have its items published again: oms inventory publish")
    except subprocess.CalledProcessError as error:
        print(f"{' '.join(error.cmd)}: {error.stderr.strip()}", file=sys.stderr)
        return 1
    return 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--context", help="of kubectl; the current one")
    parser.add_argument("--namespace", default="oms")
    parser.add_argument("--release", default="oms")
    commands = parser.add_subparsers(dest="command", required=True)
    dumps = commands.add_parser("dumps")
    dumps.add_argument("--stamp", default="", help="which backup, such as 20261126T021700Z; the latest")
    dumps.set_defaults(since=None)
    rewind = commands.add_parser("rewind")
    rewind.add_argument("--since", required=True, type=datetime.fromisoformat, help="2026-11-26T01:17:00+00:00")
    return parser


def _began(printed: str) -> datetime:
    """When the backup began that was restored."""
    (stamp,) = set(re.findall(r"[0-9]{8}T[0-9]{6}Z", printed))
    return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


class Cluster:
    """One release, by kubectl; CalledProcessError if that fails."""

    def __init__(self, context: str | None, namespace: str, release: str) -> None:
        self._kubectl = ["kubectl", *([f"--context={context}"] if context else []), f"--namespace={namespace}"]
        self._release = release

    def stop(self) -> dict[str, Manifest]:
        """Stop the services; their Deployments, by service. How many replicas they had is kept in an annotation."""
        self._pause("true")
        services = {_component(one): one for one in self._get("deployment", "app.kubernetes.io/component!=mailcatcher")}
        for one in services.values():
            name, had = one["metadata"]["name"], one["spec"]["replicas"]
            if had:
                self._run("annotate", f"deployment/{name}", f"{REPLICAS}={had}", "--overwrite")
                self._run("scale", f"deployment/{name}", "--replicas=0")
        pods = f"app.kubernetes.io/component in ({','.join(services)})"
        _until(lambda: not self._get("pod", pods))
        return services

    def start(self, services: Mapping[str, Manifest]) -> None:
        """Start them again, as many as there were."""
        names = [one["metadata"]["name"] for one in services.values()]
        for name in names:
            kept = json.loads(self._run("get", f"deployment/{name}", "--output=json"))["metadata"]["annotations"]
            self._run("scale", f"deployment/{name}", f"--replicas={kept.get(REPLICAS, '1')}")
            self._run("annotate", f"deployment/{name}", f"{REPLICAS}-")
        self._pause(None)
        for name in names:
            self._run("rollout", "status", f"deployment/{name}", f"--timeout={STEP_SECONDS}s")

    def restore(self, stamp: str) -> str:
        """Restore a backup's dumps; what was printed."""
        (cron,) = self._get("cronjob", "app.kubernetes.io/component=backup")
        spec = cron["spec"]["jobTemplate"]["spec"]
        container = spec["template"]["spec"]["containers"][0]
        container["args"] = ["/etc/oms/restore.sh"]
        container["env"] = [{**one, "value": stamp} if one["name"] == "STAMP" else one for one in container["env"]]
        return self._job(f"{cron['metadata']['name']}-restore", {**spec, "backoffLimit": 0})

    def rewind(self, deployment: Manifest, since: datetime) -> str:
        """Set a service's group back, by a Job that is what its pods are; what was printed."""
        template = deployment["spec"]["template"]
        (container,) = template["spec"]["containers"]
        kept = {key: value for key, value in container.items() if key not in OF_A_SERVER}
        kept["command"] = [*container["command"][:-1], "rewind", "--since", since.isoformat()]
        pod = {**template["spec"], "containers": [kept], "initContainers": [], "restartPolicy": "Never"}
        pod.pop("topologySpreadConstraints", None)
        metadata = {"labels": template["metadata"]["labels"]}
        spec = {"backoffLimit": 1, "template": {"metadata": metadata, "spec": pod}}
        return self._job(f"{deployment['metadata']['name']}-rewind", spec)

    def _job(self, name: str, spec: Manifest) -> str:
        """Run a Job to its end; what it printed. It is left for whoever wants to look if it fails."""
        self._run("delete", "job", name, "--ignore-not-found")
        job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}
        self._run("apply", "--filename=-", given=json.dumps(job))
        ended = _until(lambda: self._ended(name))
        printed = self._run("logs", f"job/{name}")
        if ended != "Complete":
            raise subprocess.CalledProcessError(1, [name], stderr=printed)
        self._run("delete", "job", name)
        return printed

    def _ended(self, job: str) -> str:
        found = json.loads(self._run("get", f"job/{job}", "--output=json"))
        conditions = {one["type"] for one in found["status"].get("conditions", ()) if one["status"] == "True"}
        return next(iter(conditions & {"Complete", "Failed"}), "")

    def _pause(self, value: str | None) -> None:
        """KEDA would start what is stopped."""
        if "keda.sh" in self._run("api-resources", "--api-group=keda.sh", "--output=name"):
            change = f"{PAUSED}={value}" if value else f"{PAUSED}-"
            self._run("annotate", "scaledobject", f"--selector={self._selector('')}", change, "--overwrite")

    def _get(self, kind: str, selector: str) -> list[Manifest]:
        printed = self._run("get", kind, f"--selector={self._selector(selector)}", "--output=json")
        found: list[Manifest] = json.loads(printed)["items"]
        return found

    def _selector(self, more: str) -> str:
        return ",".join(filter(None, (f"app.kubernetes.io/instance={self._release}", more)))

    def _run(self, *arguments: str, given: str | None = None) -> str:
        command = [*self._kubectl, *arguments]
        limit = STEP_SECONDS + 30
        return subprocess.run(command, input=given, capture_output=True, text=True, check=True, timeout=limit).stdout


def _until(done: Callable[[], Any]) -> Any:
    """What this answers once it answers anything; asked each second, and not for ever."""
    end = time.monotonic() + STEP_SECONDS
    while not (found := done()):
        if time.monotonic() > end:
            raise subprocess.CalledProcessError(1, ["wait"], stderr=f"not within {STEP_SECONDS} s")
        time.sleep(1)
    return found


def _component(one: Manifest) -> str:
    found: str = one["metadata"]["labels"]["app.kubernetes.io/component"]
    return found


if __name__ == "__main__":
    sys.exit(main())
