"""Which faults come when: rounds of faults that overlap, made by a seed alone, so that a run can be had again."""

import hashlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

AT_ONCE = (2, 6)  # faults in a round, at least and at most, as far as they do not need the same thing
FIRST_SECONDS = 2.0  # within which every fault of a round begins
SHORTEST, LONGEST = 1.0, 7.0  # seconds that a fault lasts


@dataclass(frozen=True)
class Planned:
    """A fault of a kind, at a target, so many seconds after its round began and for so many seconds."""

    kind: str
    target: str
    begins: float
    lasts: float


Round = tuple[Planned, ...]
Targets = Mapping[str, Sequence[str]]  # what each kind can be done to
Touched = Callable[[str, str], frozenset[str]]  # what a fault of a kind at a target has for itself


def schedule(
    seed: int, faults: int, targets: Targets, touched: Touched, at_once: tuple[int, int] = AT_ONCE
) -> list[Round]:
    """Rounds with at least so many faults together. Every kind comes once before any comes again, and no two faults of
    a round have the same thing for themselves."""
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
    """A short schedule that still fails: without the rounds, and then the faults, that have nothing to do with it."""
    return _with_fewer_faults(_with_fewer_rounds(rounds, fails), fails)


def _with_fewer_rounds(rounds: Sequence[Round], fails: Fails) -> list[Round]:
    """Halves are left out first, then single rounds (Zeller's ddmin)."""
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
    """A schedule that was kept, and the orders that it met: which, by the seed, and how many a second."""

    rounds: list[Round]
    seed: int
    rate: float


def write(path: Path, kept: Kept) -> None:
    """Keep a schedule as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    said = {"seed": kept.seed, "rate": kept.rate, "rounds": _said(kept.rounds)}
    path.write_text(json.dumps(said, indent=1) + "\n")


def read(path: Path) -> Kept:
    """A schedule that was kept."""
    said = json.loads(path.read_text())
    rounds = [tuple(Planned(**one) for one in planned) for planned in said["rounds"]]
    return Kept(rounds, said["seed"], said["rate"])


def digest(rounds: Sequence[Round]) -> str:
    """By which it is seen that two schedules are the same."""
    return hashlib.sha256(json.dumps(_said(rounds)).encode()).hexdigest()[:12]


def _said(rounds: Sequence[Round]) -> list[list[dict[str, object]]]:
    return [[asdict(one) for one in planned] for planned in rounds]
