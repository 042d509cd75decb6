"""The figures in docs/scaling.md, between two marks."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.report import machine
from benchmarks.scale.figures import Figure, table

BEGIN = "<!-- figures: begin; `make bench-scale` writes what follows -->"
END = "<!-- figures: end -->"
_MARKED = re.compile(f"(?<={re.escape(BEGIN)}\n).*?(?={re.escape(END)})", re.DOTALL)


def write(path: Path, figures: Sequence[Figure]) -> None:
    """Put them into the page. Raises ValueError if the marks are not there, once."""
    page, written = _MARKED.subn(lambda _: _block(figures), path.read_text())
    if written != 1:
        raise ValueError(f"needs the lines {BEGIN} and {END}, in this order and once")
    path.write_text(page)


def _block(figures: Sequence[Figure]) -> str:
    return f"\n{table(figures)}\n\nMeasured on {datetime.now(UTC):%Y-%m-%d}; machine: {machine()}.\n\n"
