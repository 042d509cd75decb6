"""What a run came to is kept for the page if it is as long as the page's runs are, and not otherwise."""

from pathlib import Path

import pytest

from chaos import __main__ as command
from chaos import report, schedule
from chaos.report import Report
from chaos.schedule import Planned

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


@pytest.mark.parametrize("arguments", [["--faults", "30"], ["--cluster", "--faults", "60"]])
def test_a_shorter_run_does_not_replace_it(build: Path, arguments: list[str]) -> None:
    assert command.main(["--seed", "7", *arguments]) == 0
    assert not list(build.rglob("*.json"))


def test_a_run_of_a_schedule_does_not_replace_that_of_a_seed(build: Path) -> None:
    schedule.write(build / "kept", [(Planned("silence", "kafka", 0.5, 1.0),)] * 300)
    assert command.main(["--schedule", str(build / "kept")]) == 0
    assert not list(build.rglob("*.json"))
