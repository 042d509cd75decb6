"""A deliberate bug: a change in one or a few places of a copy of the code."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chaos.accidents import SLOW
from chaos.schedule import Round

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Change:
    """A change of a file, in which `old` occurs once and is replaced by `new`."""

    file: str
    old: str
    new: str

    @property
    def package(self) -> Path:
        """Return the folder of the changed package."""
        return Path(*Path(self.file).parts[:3])

    @property
    def inside(self) -> Path:
        """Return the path of the file within its package."""
        return Path(self.file).relative_to(self.package)

    def changed(self) -> str:
        """Return the text of the file with the change."""
        return self.applied((ROOT / self.file).read_text())

    def applied(self, text: str) -> str:
        """Return this text of the file with the change. Raises ValueError unless `old` occurs in it exactly once."""
        if text.count(self.old) != 1:
            raise ValueError(f"{self.file} has {text.count(self.old)} places that are to be changed")
        return text.replace(self.old, self.new)


@dataclass(frozen=True)
class Mutant(Change):
    """A deliberate bug, with the faults and further variables of the services' environment that expose it. If one place
    is not enough, there are changes `also` elsewhere."""

    faults: Round = SLOW
    times: int = 3  # how often the faults happen
    environment: Mapping[str, str] = field(default_factory=dict)
    also: Sequence[Change] = ()

    @property
    def changes(self) -> Sequence[Change]:
        """Return all changes."""
        return [self, *self.also]

    @property
    def rounds(self) -> list[Round]:
        """Return the schedule of a run."""
        return [self.faults] * self.times

    def write(self, folder: Path) -> Path:
        """Put copies of the packages with the bug into a folder, which must come first on PYTHONPATH."""
        for one in self.changes:
            copy = folder / one.package.name
            if not copy.exists():
                shutil.copytree(ROOT / one.package, copy, ignore=shutil.ignore_patterns("__pycache__"))
            file = copy / one.inside
            file.write_text(one.applied(file.read_text()))
        return folder
