"""The script that restores an installation: what it refuses before it changes anything, and what it reports afterwards.

A fake kubectl answers for a cluster of two services, and records its calls.
"""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support import scripts

restore = scripts.load("restore")
KUBECTL = """#!{python} -IS
import json, os, sys
folder = os.path.dirname(sys.argv[0])
words = [word for word in sys.argv[1:] if not word.startswith("--namespace")]
with open(folder + "/asked", "a") as asked:
    asked.write(" ".join(words) + "\\n")
with open(folder + "/cluster") as cluster:
    state = json.load(cluster)
if words[0] == state["fails"]:
    sys.exit("it does not answer")
kind, _, name = words[1].partition("/")
if words[0] == "get" and not name:
    found = list(state.get(kind, {}).values())
    if any("!job-name" in word for word in words):
        found = [one for one in found if "job-name" not in one["metadata"]["labels"]]
    print(json.dumps({"items": found}))
elif words[0] == "get":
    print(json.dumps(state[kind][name] if kind == "deployment" else state["job"]))
elif words[0] == "scale":
    state[kind][name]["spec"]["replicas"] = int(words[2].partition("=")[2]) or state["healed"]
elif words[0] == "annotate" and kind == "deployment":
    note, _, value = words[2].partition("=")
    notes = state[kind][name]["metadata"]["annotations"]
    notes.update({note: value}) if value else notes.pop(note.rstrip("-"), None)
elif words[0] == "logs":
    print(state["printed"])
with open(folder + "/cluster", "w") as cluster:
    json.dump(state, cluster)
"""
PAST = "2026-11-26T01:17:00+00:00"
STOPPED = "The services are stopped"


def deployment(service: str, replicas: int) -> dict[str, object]:
    container = {"name": service, "command": ["python", "-m", f"oms_{service}.main", "serve"]}
    return {
        "metadata": {
            "name": f"oms-{service}",
            "labels": {"app.kubernetes.io/component": service},
            "annotations": {},
        },
        "spec": {"replicas": replicas, "template": {"metadata": {"labels": {}}, "spec": {"containers": [container]}}},
    }


class Cluster:
    """The cluster for which the fake kubectl of a test answers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._state = folder / "cluster"
        deployments = {"oms-order": deployment("order", 3), "oms-payment": deployment("payment", 2)}
        state = {"deployment": deployments, "fails": "", "healed": 0, "printed": "", "job": {"status": {}}}
        self._state.write_text(json.dumps(state))
        self.end_of_jobs("Complete")
        kubectl = folder / "kubectl"
        kubectl.write_text(KUBECTL.replace("{python}", sys.executable))
        kubectl.chmod(0o755)

    def change(self, **changes: object) -> None:
        self._state.write_text(json.dumps(json.loads(self._state.read_text()) | changes))

    def end_of_jobs(self, condition: str, printed: str = "") -> None:
        self.change(job={"status": {"conditions": [{"type": condition, "status": "True"}]}}, printed=printed)

    @property
    def replicas(self) -> list[int]:
        return [one["spec"]["replicas"] for one in json.loads(self._state.read_text())["deployment"].values()]

    @property
    def asked(self) -> Sequence[str]:
        path = self._folder / "asked"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setenv("PATH", str(tmp_path))
    return Cluster(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rewind", "--since", "2026-11-26T01:17:00"], "a time without its zone"),
        (["rewind", "--since", "2026-11-26"], "a time without its zone"),
        (["rewind", "--since", "yesterday"], "not a time"),
        (["rewind", "--since", (datetime.now(UTC) + timedelta(days=1)).isoformat()], "a time that is yet to come"),
        (["dumps", "--stamp", "yesterday"], "no backup"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused_before_anything_is_touched(
    cluster: Cluster, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        restore.main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
    assert cluster.asked == []


def test_dumps_are_not_restored_if_none_are_made(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    assert restore.main(["dumps"]) == 1
    said = capsys.readouterr().err
    assert "no CronJob of backups" in said
    assert STOPPED not in said
    assert cluster.replicas == [3, 2]


def test_a_missing_release_is_reported(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.change(deployment={})
    assert restore.main(["--release", "shop", "rewind", "--since", PAST]) == 1
    assert "there are no services of the release shop" in capsys.readouterr().err


def test_services_are_rewound_and_start_with_as_many_replicas_as_before(cluster: Cluster) -> None:
    assert restore.main(["rewind", "--since", PAST]) == 0
    assert "scale deployment/oms-order --replicas=0" in cluster.asked
    assert cluster.replicas == [3, 2]


def test_services_that_somebody_starts_again_are_not_restored(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    """Argo CD does so with selfHeal: they would run on databases that are being replaced."""
    cluster.change(healed=2)
    assert restore.main(["rewind", "--since", PAST]) == 1
    said = capsys.readouterr().err
    assert "order, payment" in said
    assert "Argo CD" in said
    assert STOPPED in said
    assert not [one for one in cluster.asked if one.startswith("apply")]


def test_other_deployments_of_a_release_are_left_alone(cluster: Cluster) -> None:
    """A chart that depends on this one, and on others, has such a release."""
    assert restore.main(["rewind", "--since", PAST]) == 0
    selectors = [one for one in cluster.asked if "--selector" in one]
    assert selectors
    assert {"app.kubernetes.io/part-of=oms" in one for one in selectors} == {True}


@pytest.mark.parametrize("fails", ["scale", "apply", "logs"])
def test_a_later_failure_says_that_services_are_stopped_and_how_to_go_on(
    cluster: Cluster, fails: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.change(fails=fails)
    assert restore.main(["--namespace", "shop", "rewind", "--since", PAST]) == 1
    said = capsys.readouterr().err
    assert "it does not answer" in said
    assert STOPPED in said
    assert "restore.py --namespace=shop --release=oms start" in said


def test_a_refusal_by_a_service_is_shown(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.end_of_jobs("Failed", "rewind_too_far")
    assert restore.main(["rewind", "--since", PAST]) == 1
    said = capsys.readouterr().err
    assert "rewind_too_far" in said
    assert STOPPED in said


def test_the_command_can_be_repeated_once_the_cause_is_gone(cluster: Cluster) -> None:
    cluster.change(fails="apply")
    assert restore.main(["rewind", "--since", PAST]) == 1
    assert cluster.replicas == [0, 0]
    cluster.change(fails="")
    assert restore.main(["rewind", "--since", PAST]) == 0
    assert cluster.replicas == [3, 2]


def test_the_command_can_be_repeated_although_the_pod_of_a_job_that_failed_is_still_there(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.end_of_jobs("Failed", "rewind_while_running")
    assert restore.main(["rewind", "--since", PAST]) == 1
    labels = {"app.kubernetes.io/component": "order", "job-name": "oms-order-rewind"}
    cluster.change(pod={"oms-order-rewind-x": {"metadata": {"labels": labels}}})
    cluster.end_of_jobs("Complete")
    monkeypatch.setattr(restore, "STEP_SECONDS", 2)
    assert restore.main(["rewind", "--since", PAST]) == 0
    assert cluster.replicas == [3, 2]


def test_services_can_be_started_unchanged_instead(cluster: Cluster) -> None:
    cluster.change(fails="apply")
    assert restore.main(["rewind", "--since", PAST]) == 1
    cluster.change(fails="rollout")
    assert restore.main(["start"]) == 1
    cluster.change(fails="")
    assert restore.main(["start"]) == 0
    assert cluster.replicas == [3, 2]


def test_a_restore_that_names_no_backup_shows_its_output(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    container = {"name": "backup", "args": [], "env": [{"name": "STAMP", "value": ""}]}
    spec = {"jobTemplate": {"spec": {"template": {"spec": {"containers": [container]}}}}}
    cluster.change(cronjob={"oms-backup": {"metadata": {"name": "oms-backup"}, "spec": spec}})
    cluster.end_of_jobs("Complete", "nothing to restore")
    assert restore.main(["dumps"]) == 1
    said = capsys.readouterr().err
    assert "nothing to restore" in said
    assert STOPPED in said
