"""What the runs of build/chaos came to, as a page: PYTHONPATH=tests python -m chaos.page >docs/chaos.md."""

import datetime
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from incidents.bounds import RECOVERED

from chaos.mutants import MUTANTS
from chaos.run import Report
from chaos.schedule import FIRST_SECONDS, LONGEST, MOST_AT_ONCE, SHORTEST

BUILD = Path(__file__).parents[2] / "build" / "chaos"
TRIED = BUILD / "mutants"  # a report of each deliberate bug that was tried
PAGE = """# Chaos

Written on {day} from runs of `scripts/chaos.sh` (`make chaos` has them all), on {cores} cores that did other things
too.

One platform (five services, five Postgres servers, Kafka, the receivers of messages, a TCP proxy in front of each)
takes orders at a steady rate, with all test cards of the simulator. Of ten customers three ask once without a key,
three repeat until they have an answer, two of them once more after it; the order of the third is refunded in parts
once it is confirmed, by requests that are repeated, too; and four cancel within three seconds. Prices and stock change
meanwhile. An operator redrives dead letters, each twice, and has refunds of cancelled orders made once more that came
to nothing. Up to {most} faults overlap in a round: each begins within {first:g} s and lasts {shortest:g} to
{longest:g} s. A seed makes the schedule, and `scripts/chaos.sh --seed N --faults M` runs it again. In the end
everything that [must never break](architecture.md#what-must-never-break) is checked, and that whoever was promised a
cancellation or a refund has it: where a card or a fault has refunds refused, some have failed, and say why.

- *recovery*: from the end of a round's last fault until a new order is CONFIRMED and all earlier ones have ended
  (allowed: {recovered:g} s).
- *slowest*: the longest time in seconds that an answer took.
- *refunds*: that were promised, and how many of them failed; *redriven*: dead letters whose event was applied after
  all.
- *emails twice*: those whose fate nobody could know, sent once more
  ([not exactly once](architecture.md#what-is-not-exactly-once)).
- *broken*: invariants, bounds and promises that did not hold.

| {columns} |
{line}
{runs}

| fault | times |
|---|---|
{faults}

{mutants}Not covered: clocks that jump, two releases of the code at a time (an old schema version is), and machines that
die as a whole. The disk that is full is the order database's, and only where root on Linux may mount one. Of the
[failures on demand](failures.md), a text that is refused for good and a charge of a cancelled order that the customer's
bank has taken back are left to other tests: nobody is notified, and only a person gives the money back. On a cluster
there are tests of their own: `tests/cluster`.
"""
BUGS = """Deliberate bugs (`tests/chaos/mutants.py`), each in a copy of the code for a run of its own, and what noticed
them:

| the bug that | was noticed by | seed | rounds | orders |
|---|---|---|---|---|
{rows}

"""
COLUMNS = (
    *("seed", "orders/s", "lasted s", "faults", "orders", "cancelled", "refunds", "failed", "redriven", "emails twice"),
    *("refused", "in doubt", "slowest", "recovery s: p50", "p95", "highest", "broken"),
)


def main() -> int:
    """The exit code."""
    reports = [_read(path) for path in sorted(BUILD.glob("[0-9]*.json"))]
    times = Counter[str]()
    for report in reports:
        times.update(report.faults)
    page = PAGE.format(
        day=datetime.datetime.now(datetime.UTC).date(),
        cores=os.cpu_count(),
        most=MOST_AT_ONCE,
        first=FIRST_SECONDS,
        shortest=SHORTEST,
        longest=LONGEST,
        recovered=RECOVERED,
        columns=" | ".join(COLUMNS),
        line="|---" * len(COLUMNS) + "|",
        runs="\n".join(map(_row, reports)),
        mutants=_bugs(),
        faults="\n".join(f"| {kind} | {count} |" for kind, count in sorted(times.items())),
    )
    sys.stdout.write(page)
    return 0


def _bugs() -> str:
    tried = {name: _read(of_mutant(name)) for name in MUTANTS if of_mutant(name).exists()}
    rows = [_bug(name, report) for name, report in tried.items()]
    return BUGS.format(rows="\n".join(rows)) if rows else ""


def _bug(name: str, report: Report) -> str:
    cells = [name, ", ".join(noticed(report)) or "**nothing**", report.seed, len(report.recoveries), report.accepted]
    return f"| {' | '.join(map(str, cells))} |"


def _read(path: Path) -> Report:
    return Report(**json.loads(path.read_text()))


def noticed(report: Report) -> list[str]:
    """The rules that a run broke, each once."""
    return sorted({one.partition(":")[0] for one in report.broken})


def keep(report: Report, path: Path) -> None:
    """Write down what a run came to."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(report), indent=1) + "\n")


def of_mutant(name: str) -> Path:
    """Where the report of a run with a deliberate bug is kept."""
    return TRIED / f"{name.replace(' ', '-')}.json"


def _row(report: Report) -> str:
    ordered = sorted(report.recoveries)
    cells = [
        *(report.seed, report.rate, round(report.lasted), sum(report.faults.values()), report.accepted),
        *(report.cancelled, report.refunds, report.failed, report.redriven, report.copies),
        *(report.refused, report.in_doubt, report.answered),
        *(percentile(ordered, 50), percentile(ordered, 95), ordered[-1]),
        len(report.broken) or "nothing",
    ]
    return f"| {' | '.join(map(str, cells))} |"


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The value that so many percent do not exceed."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


if __name__ == "__main__":
    sys.exit(main())
