"""Writes into docs/reliability.md how many requests `make fuzz` sent (build/fuzz.txt); fails if they are too few."""

import datetime
import os
import sys
from pathlib import Path

from support.openapi import COUNTS

from oms_contracts import marks

PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"
BEGIN = "<!-- fuzz: begin; `make fuzz` writes what follows -->"
END = "<!-- fuzz: end -->"
ENOUGH = 20_000
PART = """
Written on {day}: {together:,} requests by the documents, and {examples:,} of each other kind. None was answered by a
5xx, or by what its document does not say.

| test | requests |
|---|---|
{rows}

"""


def main(file: Path = COUNTS, page: Path = PAGE) -> int:
    """Return the exit code: 1 if there were too few requests."""
    counts = [line.rsplit(" ", 1) for line in sorted(file.read_text().splitlines())]
    together = sum(int(count) for _, count in counts)
    print(f"fuzz: {together:,} requests by the documents")
    if together < ENOUGH:
        print(f"fuzz: these are fewer than {ENOUGH:,}: OMS_EXAMPLES says how many", file=sys.stderr)
        return 1
    day = datetime.datetime.fromtimestamp(file.stat().st_mtime, datetime.UTC).date()
    rows = "\n".join(f"| {name} | {count} |" for name, count in counts)
    part = PART.format(day=day, together=together, examples=int(os.environ["OMS_EXAMPLES"]), rows=rows)
    page.write_text(marks.replaced(page.read_text(), BEGIN, END, part))
    return 0


if __name__ == "__main__":
    sys.exit(main())
