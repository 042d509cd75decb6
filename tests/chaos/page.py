"""Writes the results of runs into docs/reliability.md: PYTHONPATH=tests python -m chaos.page [FILE].

Runs with a schedule take hours, and so do bugs, so the results in build/chaos are merged with those of earlier runs.
"""

import itertools
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from support import machine

from chaos import report
from chaos.mutants import MUTANTS
from chaos.report import BUILD, Report, percentile
from oms_contracts import marks

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN = "<!-- {}: begin; `make {}` writes what follows -->"
END = "<!-- {}: end -->"
RUNS = (
    *("seed", "on", "orders/s", "lasted s", "faults", "orders", "cancelled", "refunds", "failed", "redriven"),
    *("emails twice", "refused", "in doubt", "slowest", "recovery s: p50", "p95", "highest", "broken"),
    *("commit", "schedule"),
)
FAULTS = ("fault", "times", "recovery s: p50", "highest")
RECOVERIES = ("recovered within s", "rounds")
BUGS = ("the bug that", "was noticed by", "seed", "rounds", "orders")
BOUNDS = (1, 2, 5, 10, 30, 60)  # seconds

Row = Sequence[object]


def main(argv: Sequence[str] = ()) -> int:
    """Put the results into the page. Sections and bugs without a new run stay unchanged."""
    page = Path(argv[0]) if argv else PAGE
    parts = (
        ("runs", "chaos", _runs(report.shown())),
        ("mutants", "chaos", _bugs(page.read_text())),
        ("cluster", "chaos-cluster", _runs(report.of_all(BUILD / "cluster"))),
    )
    for name, target, text in parts:
        if text:
            begin, end = BEGIN.format(name, target), END.format(name)
            page.write_text(marks.replaced(page.read_text(), begin, end, f"\n{text}\n"))
    return 0


def _runs(reports: Sequence[Report]) -> str:
    if not reports:
        return ""
    recoveries = sorted(itertools.chain.from_iterable(one.recoveries for one in reports))
    parts = [
        _measured(reports),
        _table(RUNS, map(_run, reports)),
        _table(RECOVERIES, _distribution(recoveries)),
        _table(FAULTS, _faults(reports)),
    ]
    return "\n".join(parts)


def _bugs(page: str) -> str:
    """Return the rows of the bugs that were tried, merged with the page's other ones; empty if none was tried."""
    tried = {name: report.read(path) for name in MUTANTS if (path := report.of_mutant(name)).exists()}
    if not tried:
        return ""
    rows = {name: _line(_bug(name, tried[name])) if name in tried else _row(page, name) for name in MUTANTS}
    return f"{_head(BUGS)}{''.join(rows.values())}"


def _row(page: str, first: str) -> str:
    return next((f"{line}\n" for line in page.splitlines() if line.startswith(f"| {first} |")), "")


def _measured(reports: Sequence[Report]) -> str:
    minutes = sum(one.lasted for one in reports) / 60
    return f"{minutes:.0f} minutes on {machine.describe()}, which did other things too.\n"


def _table(columns: Sequence[str], rows: Iterator[Row]) -> str:
    return f"{_head(columns)}{''.join(map(_line, rows))}"


def _head(columns: Sequence[str]) -> str:
    return f"{_line(columns)}{'|---' * len(columns)}|\n"


def _line(cells: Row) -> str:
    return f"| {' | '.join(map(str, cells))} |\n"


def _run(one: Report) -> Row:
    return [
        *(one.seed, one.ended_on, one.rate, round(one.lasted), one.faults.total(), one.accepted),
        *(one.cancelled, one.refunds, one.failed, one.redriven, one.copies),
        *(one.refused, one.in_doubt, one.answered),
        *(percentile(one.recoveries, 50), percentile(one.recoveries, 95), one.recoveries[-1]),
        *(", ".join(one.noticed) or "nothing", one.commit, one.schedule),
    ]


def _distribution(recoveries: Sequence[float]) -> Iterator[Row]:
    for bound in BOUNDS:
        count = sum(one <= bound for one in recoveries)
        yield bound, f"{count} of {len(recoveries)}"


def _faults(reports: Sequence[Report]) -> Iterator[Row]:
    found: defaultdict[str, list[float]] = defaultdict(list)
    for planned in itertools.chain.from_iterable(one.rounds for one in reports):
        for fault in planned.faults:
            found[fault].append(planned.seconds)
    for fault, seconds in sorted(found.items()):
        yield fault, len(seconds), percentile(sorted(seconds), 50), max(seconds)


def _bug(name: str, one: Report) -> Row:
    by = ", ".join(one.noticed) if one.is_proof else "**nothing**"
    return name, by, one.seed, len(one.rounds), one.accepted


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
