"""The report of a run is kept for the page if the run is as long, and under as much load, as those on the page."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from chaos import __main__ as command
from chaos import report, schedule
from chaos.report import Report
from chaos.schedule import Kept, Planned, Round

SILENCE = (Planned("silence", "kafka", 0.5, 1.0),)
RUN = Report(7, 10.0, 90.0, 300, 40, 5, 1, 2.5, [report.Recovery(["silence"], 1.5)])


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(report, "BUILD", tmp_path)
    monkeypatch.setattr(command, "BUILD", tmp_path)
    monkeypatch.setattr(command, "_run", lambda *_, **__: RUN)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        (["--seed", "7"], "7.json"),
        (["--seed", "7", "--faults", "260"], "7.json"),
        (["--seed", "7", "--cluster"], "cluster/7.json"),
    ],
)
def test_a_run_of_the_usual_length_is_kept(build: Path, arguments: list[str], file: str) -> None:
    assert command.main(arguments) == 0
    assert [str(path.relative_to(build)) for path in build.rglob("*.json")] == [file]


@pytest.mark.parametrize(
    "arguments",
    [["--faults", "30"], ["--faults", "0"], ["--rate", "10"], ["--cluster", "--faults", "60"]],
)
def test_a_shorter_run_or_one_under_less_load_does_not_replace_it(build: Path, arguments: list[str]) -> None:
    assert command.main(["--seed", "7", *arguments]) == 0
    assert not list(build.rglob("*.json"))


def test_a_run_of_a_schedule_does_not_replace_that_of_a_seed(build: Path) -> None:
    schedule.write(build / "kept", Kept([SILENCE] * 300, 7, 10.0))
    assert command.main(["--schedule", str(build / "kept")]) == 0
    assert not list(build.rglob("*.json"))


@pytest.mark.parametrize("where", [[], ["--cluster"]])
def test_the_shown_command_repeats_a_run_that_violated_a_rule(
    build: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], where: list[str]
) -> None:
    runs: list[tuple[Sequence[Round], int, float, bool]] = []

    def run(rounds: Sequence[Round], options: argparse.Namespace) -> Report:
        runs.append((rounds, options.seed, options.rate, options.cluster))
        return replace(RUN, broken=["one: x"])

    monkeypatch.setattr(command, "_run", run)
    assert command.main(["--seed", "7", "--rate", "8", "--faults", "9", *where]) == 1
    shown = next(line for line in capsys.readouterr().out.splitlines() if "runs these faults again" in line)
    arguments = shown.partition("scripts/chaos.sh ")[2].partition(" runs")[0].split()
    assert command.main(arguments) == 1
    assert runs[0] == runs[1]
    assert runs[0][1:] == (7, 8.0, bool(where))
