"""The page shows the results of runs, and keeps those of parts that were not run."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from chaos import page, report
from chaos.mutants import MUTANTS
from chaos.report import Recovery, Report

BUG = "offsets are committed before the work"
RUN = Report(7, 10.0, 90.0, 300, 40, 5, 1, 2.5, [Recovery(["silence", "far away"], 1.5), Recovery(["silence"], 12.0)])


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(report, "BUILD", tmp_path / "chaos")
    monkeypatch.setattr(report, "SHOWN", tmp_path / "shown")
    monkeypatch.setattr(page, "BUILD", tmp_path / "chaos")
    file = tmp_path / "page.md"
    names = {"runs": "chaos", "mutants": "chaos", "cluster": "chaos-cluster"}
    parts = [
        f"{page.BEGIN.format(name, target)}\nas it was\n{page.END.format(name)}\n" for name, target in names.items()
    ]
    file.write_text("# Reliability\n" + "".join(parts) + "After.\n")
    return file


def test_a_run_is_shown_with_how_long_each_fault_took_to_recover_from(written: Path) -> None:
    report.keep(RUN, report.of_seed(7))
    assert page.main([str(written)]) == 0
    text = written.read_text()
    assert f"| 7 | {RUN.ended_on} | 10.0 | 90 | 3 | 300 | 40 |" in text
    assert "| fault | times | recovery s: p50 | highest |\n|---|---|---|---|\n" in text
    assert "| 10 | 1 of 2 |" in text
    assert "| silence | 2 | 12.0 | 12.0 |" in text
    assert "| far away | 1 | 1.5 | 1.5 |" in text
    assert text.startswith("# Reliability")
    assert text.endswith("After.\n")
    assert text.count("as it was") == 2


def test_a_deliberate_bug_is_shown_with_what_noticed_it_and_one_that_was_not_noticed_is_marked(written: Path) -> None:
    report.keep(Report(1, 4.0, 90.0, 50, 0, 0, 0, 0.1, RUN.rounds, ["stock-adds-up: x: y"]), report.of_mutant(BUG))
    page.main([str(written)])
    assert f"| {BUG} | stock-adds-up | 1 | 2 | 50 |" in written.read_text()
    report.keep(RUN, report.of_mutant(BUG))
    page.main([str(written)])
    assert f"| {BUG} | **nothing** | 7 | 2 | 300 |" in written.read_text()
    assert written.read_text().count("as it was") == 2


def test_a_run_on_a_cluster_has_a_table_of_its_own(written: Path) -> None:
    report.keep(RUN, report.of_seed(7, on_cluster=True))
    page.main([str(written)])
    before, after = written.read_text().split(page.BEGIN.format("cluster", "chaos-cluster"))
    assert (f"| 7 | {RUN.ended_on} |" in before, f"| 7 | {RUN.ended_on} |" in after) == (False, True)


def test_runs_are_shown_next_to_those_of_other_seeds_and_replace_that_of_the_same_seed(written: Path) -> None:
    for orders, seed in ((300, 7), (200, 10), (100, 7)):
        report.keep(replace(RUN, seed=seed, accepted=orders), report.of_seed(seed))
        page.main([str(written)])
        report.of_seed(seed).unlink()
    text = written.read_text()
    assert text.index("| 3 | 100 | 40 |") < text.index("| 3 | 200 | 40 |")
    assert "| 3 | 300 | 40 |" not in text
    assert "| far away | 2 | 1.5 | 1.5 |" in text


def test_a_bug_that_was_not_tried_again_stays_as_it_was(written: Path) -> None:
    other = [name for name in MUTANTS if name != BUG][-1]
    for name, broken in ((other, "one: x"), (BUG, "two: x")):
        report.keep(replace(RUN, broken=[broken]), report.of_mutant(name))
        page.main([str(written)])
        report.of_mutant(name).unlink()
    text = written.read_text()
    assert text.index(f"| {BUG} | two | 7 | 2 | 300 |") < text.index(f"| {other} | one | 7 | 2 | 300 |")


def test_a_row_says_by_what_code_and_what_schedule_a_run_was_made(written: Path) -> None:
    report.keep(replace(RUN, commit="abc1234", schedule="0123456789ab"), report.of_seed(7))
    page.main([str(written)])
    assert "| nothing | abc1234 | 0123456789ab |" in written.read_text()


def test_the_commit_is_that_of_the_repository_if_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if (report.ROOT / ".git").exists():
        assert len(report.commit()) >= 7
    monkeypatch.setattr(report, "ROOT", tmp_path)
    assert report.commit() == ""


def test_an_old_report_without_these_fields_can_be_read(written: Path) -> None:
    old = {name: value for name, value in asdict(RUN).items() if name not in {"commit", "schedule"}}
    path = report.of_seed(7)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(old))
    page.main([str(written)])
    assert "| nothing |  |  |" in written.read_text()


def test_a_kept_report_is_read_unchanged(written: Path) -> None:
    report.keep(RUN, report.of_seed(7))
    assert report.read(report.of_seed(7)) == RUN
