"""What a run came to, and where that is kept: in build/, and what the page shows of it in the repository."""

import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

OF_TIME = frozenset({"answers-come-in-time", "the-system-recovers"})
ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "chaos"
SHOWN = Path(__file__).parent / "reports"


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


@dataclass(frozen=True)
class Recovery:
    """A round: its faults, and the seconds from the end of the last one until everything was as before."""

    faults: list[str]
    seconds: float


@dataclass(frozen=True)
class Report:
    """What a run came to. Times are in seconds.

    `failed` are the refunds that came to nothing, `copies` the emails that came once more; `ended_on` is the day.
    `commit` is that of the code, if it is known, and `schedule` says of two runs whether they had the same faults.
    """

    seed: int
    rate: float
    lasted: float
    accepted: int
    cancelled: int
    refused: int
    in_doubt: int
    answered: float
    rounds: list[Recovery] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    refunds: int = 0
    failed: int = 0
    redriven: int = 0
    copies: int = 0
    ended_on: str = field(default_factory=_today)
    commit: str = ""
    schedule: str = ""

    @property
    def is_sound(self) -> bool:
        """Whether every invariant and every bound held."""
        return not self.broken

    @property
    def faults(self) -> Counter[str]:
        """How often each fault was there."""
        return Counter(fault for one in self.rounds for fault in one.faults)

    @property
    def recoveries(self) -> list[float]:
        """How long each took, the shortest first."""
        return sorted(one.seconds for one in self.rounds)

    @property
    def noticed(self) -> list[str]:
        """The rules that were broken, each once."""
        return sorted({one.partition(":")[0] for one in self.broken})

    @property
    def is_proof(self) -> bool:
        """Whether there is a fault for sure: a rule was broken that a busy machine does not break as well."""
        return not OF_TIME.issuperset(self.noticed)


def commit() -> str:
    """The commit that is checked out, and whether there is more than that; nothing where there is no git."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--exclude", "*"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return ""
    return done.stdout.strip()


def of_seed(seed: int, *, on_cluster: bool = False) -> Path:
    """Where the report of a run with this seed is kept."""
    return (BUILD / "cluster" if on_cluster else BUILD) / f"{seed}.json"


def of_mutant(name: str) -> Path:
    """Where the report of a run with a deliberate bug is kept."""
    return BUILD / "mutants" / f"{name.replace(' ', '-')}.json"


def keep(report: Report, path: Path) -> None:
    """Write down what a run came to."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(report), indent=1) + "\n")


def shown() -> list[Report]:
    """What the page shows of runs with a schedule: those in build/, which replace what they are repetitions of."""
    SHOWN.mkdir(exist_ok=True)
    for path in BUILD.glob("[0-9]*.json"):
        shutil.copyfile(path, SHOWN / path.name)
    return of_all(SHOWN)


def of_all(folder: Path) -> list[Report]:
    """The reports of a folder, by seed."""
    return sorted(map(read, folder.glob("[0-9]*.json")), key=lambda one: one.seed)


def read(path: Path) -> Report:
    """What was written down."""
    said = json.loads(path.read_text())
    return Report(**{**said, "rounds": [Recovery(**one) for one in said["rounds"]]})


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The value that so many percent do not exceed."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
