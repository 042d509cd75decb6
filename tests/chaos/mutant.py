"""A deliberate bug: a change of one place in the code, or of a few, in a copy of it."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chaos.accidents import SLOW
from chaos.schedule import Round

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Change:
    """`old` is once in the file and becomes `new`."""

    file: str
    old: str
    new: str

    @property
    def package(self) -> Path:
        """The folder of the package that is changed."""
        return Path(*Path(self.file).parts[:3])

    @property
    def inside(self) -> Path:
        """The file's place in its package."""
        return Path(self.file).relative_to(self.package)

    def changed(self) -> str:
        """The file with the change."""
        return self.applied((ROOT / self.file).read_text())

    def applied(self, text: str) -> str:
        """This text of the file, changed. ValueError unless `old` is in it exactly once."""
        if text.count(self.old) != 1:
            raise ValueError(f"{self.file} has {text.count(self.old)} places that are to be changed")
        return text.replace(self.old, self.new)


@dataclass(frozen=True)
class Mutant(Change):
    """The faults, and what the services' environment has more, are those that bring the bug to light. Where one place
    is not enough, there are changes `also` elsewhere."""

    faults: Round = SLOW
    times: int = 3  # that they happen
    environment: Mapping[str, str] = field(default_factory=dict)
    also: Sequence[Change] = ()

    @property
    def changes(self) -> Sequence[Change]:
        """All of them."""
        return [self, *self.also]

    @property
    def rounds(self) -> list[Round]:
        """The schedule of a run."""
        return [self.faults] * self.times

    def write(self, folder: Path) -> Path:
        """Put copies of the packages with the bug into a folder, which is to come first on PYTHONPATH."""
        for one in self.changes:
            copy = folder / one.package.name
            if not copy.exists():
                shutil.copytree(ROOT / one.package, copy, ignore=shutil.ignore_patterns("__pycache__"))
            file = copy / one.inside
            file.write_text(one.applied(file.read_text()))
        return folder
