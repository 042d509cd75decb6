"""A deliberate bug: a change of one place in the code, in a copy of it."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from chaos.accidents import SLOW
from chaos.schedule import Round

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Mutant:
    """`old` is once in the file and becomes `new`; the faults, and what the services' environment has more, are those
    that bring it to light."""

    file: str
    old: str
    new: str
    faults: Round = SLOW
    times: int = 3  # that they happen
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def rounds(self) -> list[Round]:
        """The schedule of a run."""
        return [self.faults] * self.times

    @property
    def package(self) -> Path:
        """The folder of the package that is changed."""
        path = Path(self.file)
        return Path(*path.parts[:3])

    def changed(self) -> str:
        """The file with the bug. ValueError unless `old` is in it exactly once."""
        text = (ROOT / self.file).read_text()
        if text.count(self.old) != 1:
            raise ValueError(f"{self.file} has {text.count(self.old)} places that are to be changed")
        return text.replace(self.old, self.new)

    def write(self, folder: Path) -> Path:
        """Put a copy of its package with the bug into a folder, which is to come first on PYTHONPATH."""
        copy = folder / self.package.name
        shutil.copytree(ROOT / self.package, copy, ignore=shutil.ignore_patterns("__pycache__"))
        (copy / Path(self.file).relative_to(self.package)).write_text(self.changed())
        return folder
