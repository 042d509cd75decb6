"""Writes figures into docs/scaling.md, between two marks."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from support import machine

from benchmarks.scale.figures import Figure, table
from oms_contracts import marks

BEGIN = "<!-- figures: begin; `make bench-scale` writes what follows -->"
END = "<!-- figures: end -->"


def write(path: Path, figures: Sequence[Figure]) -> None:
    """Put the figures into the page. Raises ValueError unless each mark is there exactly once."""
    path.write_text(marks.replaced(path.read_text(), BEGIN, END, _block(figures)))


def _block(figures: Sequence[Figure]) -> str:
    return f"\n{table(figures)}\n\nMeasured on {datetime.now(UTC):%Y-%m-%d}; machine: {machine.describe()}.\n\n"
