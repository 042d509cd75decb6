"""Every deliberate bug can still be put into the code, and the result is a valid program."""

import ast
from pathlib import Path

import pytest

from chaos import kinds
from chaos.mutants import MUTANTS
from chaos.report import Report


@pytest.mark.parametrize("name", MUTANTS)
def test_a_deliberate_bug_fits_the_code_as_it_is(name: str) -> None:
    mutant = MUTANTS[name]
    for change in mutant.changes:
        ast.parse(change.changed())
    for one in mutant.faults:
        assert one.target in kinds.TARGETS[one.kind]


def test_a_bug_is_put_into_a_copy_of_its_package(tmp_path: Path) -> None:
    mutant = MUTANTS["offsets are committed before the work"]
    mutant.write(tmp_path)
    assert (tmp_path / "oms_chassis" / "messaging" / "consumer.py").read_text() == mutant.changed()
    assert (tmp_path / "oms_chassis" / "db.py").exists()


def test_a_bug_in_several_places_is_put_into_all_of_them(tmp_path: Path) -> None:
    mutant = MUTANTS["stock may fall below nothing"]
    mutant.write(tmp_path)
    assert len(mutant.changes) == 3
    for change in mutant.changes:
        assert (tmp_path / "oms_inventory" / change.inside).read_text() == change.changed()


def test_a_rule_that_noticed_a_bug_is_named_once_however_often_it_did() -> None:
    slow = ["the-system-recovers: it took 61.0 s", "the-system-recovers: it took 62.0 s"]
    broken = [*slow, "stock-adds-up: Item1: 3", "stock-adds-up: Item2: 1"]
    report = Report(1, 10.0, 1.0, 0, 0, 0, 0, 0.0, broken=broken)
    assert report.noticed == ["stock-adds-up", "the-system-recovers"]


@pytest.mark.parametrize(
    ("broken", "is_proof"),
    [
        ([], False),
        (["the-system-recovers: it took 61.0 s", "answers-come-in-time: an answer took 31.0 s"], False),
        (["the-system-recovers: it took 61.0 s", "stock-adds-up: Item1: 3"], True),
    ],
)
def test_violations_that_a_busy_machine_can_cause_do_not_prove_a_bug(broken: list[str], is_proof: bool) -> None:
    assert Report(1, 10.0, 1.0, 0, 0, 0, 0, 0.0, broken=broken).is_proof is is_proof
