"""A seed determines a schedule, and a schedule that fails is shortened."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import pytest

from chaos import kinds, pods, schedule
from chaos.schedule import Kept, Planned, Round

MANY = 200


@pytest.fixture(params=range(5))
def rounds(request: pytest.FixtureRequest) -> list[Round]:
    return schedule.schedule(request.param, MANY, kinds.TARGETS, kinds.touched)


def test_a_seed_makes_the_same_schedule_each_time(rounds: list[Round]) -> None:
    again = [schedule.schedule(seed, MANY, kinds.TARGETS, kinds.touched) for seed in range(5)]
    assert rounds in again
    assert all(one != other for one, other in combinations(again, 2))


def test_a_seed_makes_the_same_schedule_in_every_process() -> None:
    code = "from chaos import kinds, schedule; print(schedule.schedule(7, 50, kinds.TARGETS, kinds.touched))"
    folder = str(Path(__file__).parents[1])
    made = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": folder, "PYTHONHASHSEED": number},
            capture_output=True, text=True, timeout=60, check=True,
        ).stdout
        for number in ("1", "2")
    }  # fmt: skip
    assert made == {f"{schedule.schedule(7, 50, kinds.TARGETS, kinds.touched)}\n"}


def test_there_are_as_many_faults_as_requested_and_every_kind_occurs_about_equally_often(rounds: list[Round]) -> None:
    count = Counter(one.kind for planned in rounds for one in planned)
    assert sum(count.values()) >= MANY
    assert count.keys() == kinds.KINDS.keys()
    assert max(count.values()) - min(count.values()) <= 3


def test_faults_overlap_but_no_two_need_the_same_thing_for_themselves(rounds: list[Round]) -> None:
    assert max(map(len, rounds)) >= schedule.AT_ONCE[1] - 1  # some need the same thing
    for planned in rounds:
        assert planned
        for one, other in combinations(planned, 2):
            assert not kinds.touched(one.kind, one.target) & kinds.touched(other.kind, other.target)
            assert one.begins < other.begins + other.lasts + schedule.FIRST_SECONDS


def test_a_kept_schedule_is_read_unchanged(rounds: list[Round], tmp_path: Path) -> None:
    kept = Kept(rounds, 3, 8.0)
    schedule.write(tmp_path / "build" / "kept.json", kept)
    assert schedule.read(tmp_path / "build" / "kept.json") == kept


def test_equal_schedules_have_the_same_digest(rounds: list[Round]) -> None:
    assert schedule.digest(rounds) == schedule.digest(list(rounds))
    assert schedule.digest(rounds) != schedule.digest(rounds[1:])


@pytest.mark.parametrize("guilty", [{3}, {0}, {19}, {2, 17}])
def test_only_the_rounds_that_make_a_schedule_fail_are_kept(guilty: set[int]) -> None:
    rounds = [(Planned(str(number), "order", 0.0, 1.0),) for number in range(20)]
    tried = 0

    def fails(some: Sequence[Round]) -> bool:
        nonlocal tried
        tried += 1
        return guilty <= {int(planned[0].kind) for planned in some}

    kept = schedule.shrink(rounds, fails)
    assert [int(planned[0].kind) for planned in kept] == sorted(guilty)
    assert tried <= 80


def test_only_the_faults_that_make_a_schedule_fail_are_kept_in_its_rounds() -> None:
    rounds = [tuple(Planned(f"{number} {kind}", "order", 0.0, 1.0) for kind in "abc") for number in range(6)]

    def fails(some: Sequence[Round]) -> bool:
        return {"1 b", "4 a", "4 c"} <= {one.kind for planned in some for one in planned}

    kept = schedule.shrink(rounds, fails)
    assert [[one.kind for one in planned] for planned in kept] == [["1 b"], ["4 a", "4 c"]]


def test_faults_on_a_cluster_leave_a_component_to_one_of_them_at_a_time() -> None:
    rounds = schedule.schedule(5, MANY, pods.TARGETS, pods.touched, pods.AT_ONCE)
    assert {one.kind for planned in rounds for one in planned} == {*pods.KINDS}
    for planned in rounds:
        taken = [component for one in planned for component in pods.touched(one.kind, one.target)]
        assert len(taken) == len(set(taken))
