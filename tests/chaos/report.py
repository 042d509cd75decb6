"""Reports of runs, and where they are kept: in build/, and those that the page shows also in the repository."""

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
    """The faults of a round, and the seconds from the end of the last one until everything was as before."""

    faults: list[str]
    seconds: float


@dataclass(frozen=True)
class Report:
    """The results of a run. Times are in seconds.

    `failed` are the failed refunds, `copies` the emails that arrived again; `ended_on` is the day. `commit` is that of
    the code, if it is known, and `schedule` is equal for two runs if they had the same faults.
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
        """Return how often each fault occurred."""
        return Counter(fault for one in self.rounds for fault in one.faults)

    @property
    def recoveries(self) -> list[float]:
        """Return how long each recovery took, the shortest first."""
        return sorted(one.seconds for one in self.rounds)

    @property
    def noticed(self) -> list[str]:
        """Return the violated rules, each once."""
        return sorted({one.partition(":")[0] for one in self.broken})

    @property
    def is_proof(self) -> bool:
        """Whether there is certainly a bug: a rule is violated that a busy machine alone cannot violate."""
        return not OF_TIME.issuperset(self.noticed)


def commit() -> str:
    """Return the commit that is checked out, and whether there are changes; empty without git."""
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
    """Return the path of the report of a run with this seed."""
    return (BUILD / "cluster" if on_cluster else BUILD) / f"{seed}.json"


def of_mutant(name: str) -> Path:
    """Return the path of the report of a run with a deliberate bug."""
    return BUILD / "mutants" / f"{name.replace(' ', '-')}.json"


def keep(report: Report, path: Path) -> None:
    """Write a report."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(report), indent=1) + "\n")


def shown() -> list[Report]:
    """Return the scheduled runs that the page shows: those in build/ replace the runs that they repeat."""
    SHOWN.mkdir(exist_ok=True)
    for path in BUILD.glob("[0-9]*.json"):
        shutil.copyfile(path, SHOWN / path.name)
    return of_all(SHOWN)


def of_all(folder: Path) -> list[Report]:
    """Return the reports in a folder, by seed."""
    return sorted(map(read, folder.glob("[0-9]*.json")), key=lambda one: one.seed)


def read(path: Path) -> Report:
    """Read a report."""
    said = json.loads(path.read_text())
    return Report(**{**said, "rounds": [Recovery(**one) for one in said["rounds"]]})


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the value that this percentage does not exceed."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
