"""Writes the results of the incidents, from build/incidents.json, into docs/reliability.md."""

import datetime
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from incidents import bounds
from incidents.record import FILE

from oms_contracts import marks

PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"
BEGIN = "<!-- incidents: begin; `make incidents` writes what follows -->"
END = "<!-- incidents: end -->"
PART = """
Written on {day}, on {cores} cores{load}. Promised: an answer within 5 s (allowed on a busy machine: {ANSWERED:g} s),
recovery within 30 s (allowed: {RECOVERED:g} s), and that every customer is notified within {SETTLED:g} s.

| fault | lasted s | answered s | recovered s | accepted | refused | in doubt | invariants |
|---|---|---|---|---|---|---|---|
{rows}

"""


def main(argv: Sequence[str] = ()) -> int:
    """Write the page. Return the exit code."""
    page = Path(argv[0]) if argv else PAGE
    measured: Sequence[Mapping[str, Any]] = json.loads(FILE.read_text())
    day = datetime.datetime.fromtimestamp(FILE.stat().st_mtime, datetime.UTC).date()
    load = f" (load average {os.getloadavg()[2]:.0f})"
    rows = "\n".join(map(row, measured))
    part = PART.format(day=day, cores=os.cpu_count(), load=load, rows=rows, **vars(bounds))
    page.write_text(marks.replaced(page.read_text(), BEGIN, END, part))
    return 0


def row(one: Mapping[str, Any]) -> str:
    """Return an incident as a row of the table."""
    invariants = "hold" if not one["broken"] else f"broken: {', '.join(one['broken'])}"
    cells = [one["fault"], *(one[name] for name in ("lasted", "answered", "recovered", "accepted", "refused"))]
    return f"| {' | '.join(map(str, [*cells, one['in_doubt'], invariants]))} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
