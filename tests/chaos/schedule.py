"""Schedules rounds of overlapping faults, determined by a seed alone, so that a run can be repeated."""

import hashlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

AT_ONCE = (2, 6)  # minimum and maximum of faults in a round, as far as they do not need the same thing
FIRST_SECONDS = 2.0  # seconds within which every fault of a round begins
SHORTEST, LONGEST = 1.0, 7.0  # seconds that a fault lasts


@dataclass(frozen=True)
class Planned:
    """A fault of a kind, at a target; it begins some seconds after its round, and lasts some seconds."""

    kind: str
    target: str
    begins: float
    lasts: float


Round = tuple[Planned, ...]
Targets = Mapping[str, Sequence[str]]  # the targets of each kind
Touched = Callable[[str, str], frozenset[str]]  # what a fault of a kind at a target needs for itself


def schedule(
    seed: int, faults: int, targets: Targets, touched: Touched, at_once: tuple[int, int] = AT_ONCE
) -> list[Round]:
    """Return rounds with at least this many faults in total. Every kind occurs once before any occurs again, and no two
    faults of a round need the same thing for themselves."""
    rng = random.Random(seed)
    rounds: list[Round] = []
    left: list[str] = []
    while sum(map(len, rounds)) < faults:
        if len(left) < at_once[1]:
            left += rng.sample(sorted(targets), len(targets))
        kinds = [left.pop(0) for _ in range(rng.randint(*at_once))]
        planned, refused = _round(rng, kinds, targets, touched)
        left = [*refused, *left]
        rounds.append(planned)
    return rounds


def _round(rng: random.Random, kinds: Sequence[str], targets: Targets, touched: Touched) -> tuple[Round, Sequence[str]]:
    taken: set[str] = set()
    planned, refused = [], []
    for kind in kinds:
        target = rng.choice(targets[kind])
        begins, lasts = rng.uniform(0.0, FIRST_SECONDS), rng.uniform(SHORTEST, LONGEST)
        if taken & touched(kind, target):
            refused.append(kind)
            continue
        taken |= touched(kind, target)
        planned.append(Planned(kind, target, round(begins, 2), round(lasts, 2)))
    return tuple(planned), refused


Fails = Callable[[Sequence[Round]], bool]


def shrink(rounds: Sequence[Round], fails: Fails) -> list[Round]:
    """Return a short schedule that still fails, without the rounds, and then the faults, that are irrelevant."""
    return _with_fewer_faults(_with_fewer_rounds(rounds, fails), fails)


def _with_fewer_rounds(rounds: Sequence[Round], fails: Fails) -> list[Round]:
    """Leave out halves first, then single rounds (Zeller's ddmin)."""
    kept, parts = list(rounds), 2
    while len(kept) > 1:
        size = max(1, len(kept) // parts)
        shorter = next((rest for rest in _without_each(kept, size) if rest and fails(rest)), None)
        if shorter is not None:
            kept, parts = shorter, max(2, parts - 1)
        elif size == 1:
            break
        else:
            parts = min(len(kept), 2 * parts)
    return kept


def _with_fewer_faults(rounds: list[Round], fails: Fails) -> list[Round]:
    kept = rounds
    for number, planned in enumerate(rounds):
        for fault in planned:
            fewer = tuple(one for one in kept[number] if one is not fault)
            shorter = [*kept[:number], fewer, *kept[number + 1 :]]
            if fewer and fails(shorter):
                kept = shorter
    return kept


def _without_each(rounds: list[Round], size: int) -> list[list[Round]]:
    return [rounds[:start] + rounds[start + size :] for start in range(0, len(rounds), size)]


@dataclass(frozen=True)
class Kept:
    """A kept schedule, with the seed that determines its orders, and their rate per second."""

    rounds: list[Round]
    seed: int
    rate: float


def write(path: Path, kept: Kept) -> None:
    """Keep a schedule as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    said = {"seed": kept.seed, "rate": kept.rate, "rounds": _said(kept.rounds)}
    path.write_text(json.dumps(said, indent=1) + "\n")


def read(path: Path) -> Kept:
    """Read a kept schedule."""
    said = json.loads(path.read_text())
    rounds = [tuple(Planned(**one) for one in planned) for planned in said["rounds"]]
    return Kept(rounds, said["seed"], said["rate"])


def digest(rounds: Sequence[Round]) -> str:
    """Return a digest that is equal for equal schedules."""
    return hashlib.sha256(json.dumps(_said(rounds)).encode()).hexdigest()[:12]


def _said(rounds: Sequence[Round]) -> list[list[dict[str, object]]]:
    return [[asdict(one) for one in planned] for planned in rounds]
