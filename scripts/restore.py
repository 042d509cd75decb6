"""Restores an installation on a cluster, as docs/backup.md says; the services are stopped meanwhile.

restore.py dumps                  restore the dumps of a backup, and let the services read later events again
restore.py rewind --since TIME    only the latter, after the databases were restored in another way
restore.py start                  start the services again as they are, after one of these failed
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

MARGIN = timedelta(hours=1)  # before a backup began: events that were in Kafka then got into the databases later
STAMP = r"[0-9]{8}T[0-9]{6}Z"  # the name of a backup: the time at which it began
STEP_SECONDS = 600  # seconds for each step
REPLICAS = "oms/replicas"  # annotation of a stopped Deployment with the number of its replicas before
PAUSED = "autoscaling.keda.sh/paused"
STOPPED = """The services are stopped, or some of them. Once the cause is gone, repeat the command: it goes on from here
and starts as many replicas as there were. To start them as they are instead: restore.py {options}start"""
HEALED = """{services}: somebody starts again what is to be stopped. Argo CD (selfHeal) and Flux (driftDetection)
must not see to the release meanwhile"""
OF_A_SERVER = ("livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "ports")

Manifest = dict[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Return the exit code: 1 if a command failed, 2 if the arguments cannot be used."""
    given = _arguments().parse_args(argv)
    cluster = Cluster(given.context, given.namespace, given.release)
    is_touched = given.command == "start"
    try:
        services = cluster.services()
        backup = cluster.backup() if given.command == "dumps" else None
        if given.command != "start":
            is_touched = True
            cluster.stop(services)
            since = given.since if backup is None else _began(cluster.restore(backup, given.stamp)) - MARGIN
            for service in services.values():
                print(cluster.rewind(service, since))
        cluster.start(services)
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        print(_said(error), file=sys.stderr)
        if is_touched:
            print(STOPPED.format(options=_options(given)), file=sys.stderr)
        return 1
    if given.command != "start":
        print("If the inventory was restored, have its items published again: oms inventory publish")
    return 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--context", help="of kubectl; the current one")
    parser.add_argument("--namespace", default="oms")
    parser.add_argument("--release", default="oms")
    commands = parser.add_subparsers(dest="command", required=True)
    dumps = commands.add_parser("dumps")
    dumps.add_argument("--stamp", default="", type=_stamp, help="which backup, such as 20261126T021700Z; the latest")
    dumps.set_defaults(since=None)
    rewind = commands.add_parser("rewind")
    rewind.add_argument("--since", required=True, type=_moment, help="2026-11-26T01:17:00+00:00")
    commands.add_parser("start")
    return parser


def _options(given: argparse.Namespace) -> str:
    context = f"--context={given.context} " if given.context else ""
    return f"{context}--namespace={given.namespace} --release={given.release} "


def _moment(text: str) -> datetime:
    """Return a time in the past. The services refuse any other, but would do so only after they were stopped."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("not a time, such as 2026-11-26T01:17:00+00:00") from None
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError("a time without its zone: 2026-11-26T01:17:00+00:00 has one")
    if moment > datetime.now(UTC):
        raise argparse.ArgumentTypeError("a time that is yet to come: nothing was read since then")
    return moment


def _stamp(text: str) -> str:
    if text and not re.fullmatch(STAMP, text):
        raise argparse.ArgumentTypeError("no backup: they are named as 20261126T021700Z")
    return text


def _said(error: Exception) -> str:
    """Return why a command failed, in kubectl's own words if there are any."""
    if isinstance(error, subprocess.CalledProcessError):
        return f"{' '.join(error.cmd)}: {(error.stderr or '').strip()}"
    return str(error)


def _began(printed: str) -> datetime:
    """Return when the restored backup began."""
    stamps = set(re.findall(STAMP, printed))
    if len(stamps) != 1:
        raise ValueError(f"not one backup was restored, but {len(stamps)}:\n{printed}")
    (stamp,) = stamps
    return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


class Cluster:
    """A release, managed by kubectl. Raises CalledProcessError if that fails."""

    def __init__(self, context: str | None, namespace: str, release: str) -> None:
        self._kubectl = ["kubectl", *([f"--context={context}"] if context else []), f"--namespace={namespace}"]
        self._release = release

    def services(self) -> dict[str, Manifest]:
        """Return the services' Deployments, by service. Raises ValueError if there are none."""
        services = {_component(one): one for one in self._get("deployment", "app.kubernetes.io/component!=mailcatcher")}
        if not services:
            raise ValueError(f"there are no services of the release {self._release}")
        return services

    def backup(self) -> Manifest:
        """Return the CronJob that makes backups. Raises ValueError if there is none."""
        found = self._get("cronjob", "app.kubernetes.io/component=backup")
        if len(found) != 1:
            raise ValueError(f"the release {self._release} has no CronJob of backups: nothing was dumped by it")
        return found[0]

    def stop(self, services: Mapping[str, Manifest]) -> None:
        """Stop the services, and keep the number of their replicas in an annotation."""
        self._pause("true")
        for one in services.values():
            name, had = one["metadata"]["name"], one["spec"]["replicas"]
            if had:
                self._run("annotate", f"deployment/{name}", f"{REPLICAS}={had}", "--overwrite")
                self._run("scale", f"deployment/{name}", "--replicas=0")
        _until(self._is_stopped)

    def _is_stopped(self) -> bool:
        """Whether no pod of a service is left. Raises ValueError if somebody starts them again."""
        services = self.services()
        if started := sorted(name for name, one in services.items() if one["spec"]["replicas"]):
            raise ValueError(HEALED.format(services=", ".join(started)))
        # Not those of an earlier Job, which have the service's labels and stay if it failed.
        return not self._get("pod", f"app.kubernetes.io/component in ({','.join(services)}),!job-name")

    def start(self, services: Mapping[str, Manifest]) -> None:
        """Start the stopped services again with as many replicas as before. Running ones are left unchanged."""
        names = [one["metadata"]["name"] for one in services.values()]
        for name in names:
            found = json.loads(self._run("get", f"deployment/{name}", "--output=json"))
            kept = found["metadata"].get("annotations", {})
            if REPLICAS not in kept and found["spec"]["replicas"]:
                continue
            self._run("scale", f"deployment/{name}", f"--replicas={kept.get(REPLICAS, '1')}")
            self._run("annotate", f"deployment/{name}", f"{REPLICAS}-")
        self._pause(None)
        for name in names:
            self._run("rollout", "status", f"deployment/{name}", f"--timeout={STEP_SECONDS}s")

    def restore(self, cron: Manifest, stamp: str) -> str:
        """Restore a backup's dumps, and return what that printed."""
        spec = cron["spec"]["jobTemplate"]["spec"]
        container = spec["template"]["spec"]["containers"][0]
        container["args"] = ["/etc/oms/restore.sh"]
        container["env"] = [{**one, "value": stamp} if one["name"] == "STAMP" else one for one in container["env"]]
        return self._job(f"{cron['metadata']['name']}-restore", {**spec, "backoffLimit": 0})

    def rewind(self, deployment: Manifest, since: datetime) -> str:
        """Rewind a service's consumer group by a Job with the spec of its pods, and return what that printed."""
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
        """Run a Job to its end, and return what it printed. If it fails, it is left there for inspection."""
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
        """Pause KEDA, which would start the stopped services, or let it continue (None)."""
        if "keda.sh" in self._run("api-resources", "--api-group=keda.sh", "--output=name"):
            change = f"{PAUSED}={value}" if value else f"{PAUSED}-"
            self._run("annotate", "scaledobject", f"--selector={self._selector('')}", change, "--overwrite")

    def _get(self, kind: str, selector: str) -> list[Manifest]:
        printed = self._run("get", kind, f"--selector={self._selector(selector)}", "--output=json")
        found: list[Manifest] = json.loads(printed)["items"]
        return found

    def _selector(self, more: str) -> str:
        ours = f"app.kubernetes.io/instance={self._release},app.kubernetes.io/part-of=oms"  # a release may have more
        return ",".join(filter(None, (ours, more)))

    def _run(self, *arguments: str, given: str | None = None) -> str:
        command = [*self._kubectl, *arguments]
        limit = STEP_SECONDS + 30
        return subprocess.run(command, input=given, capture_output=True, text=True, check=True, timeout=limit).stdout


def _until(done: Callable[[], Any]) -> Any:
    """Call `done` each second until it returns something true, and return that. Gives up after STEP_SECONDS."""
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
