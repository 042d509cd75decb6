"""Every deliberate bug can still be put into the code, and what results is a program."""

import ast
from pathlib import Path

import pytest

from chaos import kinds
from chaos.mutants import MUTANTS


@pytest.mark.parametrize("name", MUTANTS)
def test_a_deliberate_bug_fits_the_code_as_it_is(name: str) -> None:
    mutant = MUTANTS[name]
    ast.parse(mutant.changed())
    for one in mutant.faults:
        assert one.target in kinds.TARGETS[one.kind]


def test_a_bug_is_put_into_a_copy_of_its_package(tmp_path: Path) -> None:
    mutant = MUTANTS["offsets are committed before the work"]
    mutant.write(tmp_path)
    assert (tmp_path / "oms_chassis" / "messaging" / "consumer.py").read_text() == mutant.changed()
    assert (tmp_path / "oms_chassis" / "db.py").exists()
