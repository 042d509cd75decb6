"""Compare throughput with two replicas of each service and with one, and with full and empty databases.

`make bench-growth` runs it. The replicas need root, for control groups.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from support import machine

from benchmarks.growth import filled, replicas
from benchmarks.growth.quota import NoQuotas
from oms_contracts import marks

BEGIN = "<!-- growth: begin; `make bench-growth` writes what follows -->"
END = "<!-- growth: end -->"
PARTITIONS = (3, 4)  # the chart's default, and a number that two replicas share evenly

Rates = Mapping[str, Sequence[float]]


def main() -> int:
    """Measure, print, and write the page if asked to. Return 2 if this machine has no control groups."""
    options = _parser().parse_args()
    try:
        page = "\n\n".join([*_replicas(options), *_filled(options), f"Measured on {_when()}."])
    except NoQuotas as reason:
        print(f"bench-growth: {reason}", file=sys.stderr)
        return 2
    print(page)
    if options.write:
        options.write.write_text(marks.replaced(options.write.read_text(), BEGIN, END, f"\n{page}\n\n"))
    return 0


def _replicas(options: argparse.Namespace) -> list[str]:
    rows = []
    for partitions in PARTITIONS:
        os.environ["OMS_KAFKA_PARTITIONS"] = str(partitions)  # with which the platform creates its topics
        rates = _interleaved(options)
        rows.append((f"{partitions} partitions", rates["one"], rates["two"]))
    del os.environ["OMS_KAFKA_PARTITIONS"]
    said = f"{replicas.SHARE:.0%} of a core for each process of a service; {_runs(options.repeats)}:"
    return [said, table(("topics with", "one replica, orders/s", "two, orders/s"), rows)]


def _interleaved(options: argparse.Namespace) -> Rates:
    """Measure one, two, two, one replicas, so that a drift of the machine affects both alike."""
    rates: dict[str, list[float]] = {"one": [], "two": []}
    for repeat in range(options.repeats):
        for name, count in (("one", 1), ("two", 2))[:: 1 if repeat % 2 == 0 else -1]:
            rates[name].append(replicas.throughput(count, count * options.replica_orders))
            print(f"{name} of each service: {rates[name][-1]:.0f} orders/s", flush=True)
    return rates


def _filled(options: argparse.Namespace) -> list[str]:
    """Measure empty, full, and again empty databases."""
    runs: list[list[filled.Run]] = []
    for held in (0, options.held, 0):
        runs.append(filled.throughput(options.repeats, options.orders, held, options.items))
        print(f"{held} orders held: {', '.join(f'{one.rate:.0f}' for one in runs[-1])} orders/s", flush=True)
    said = (
        f"Databases that hold {options.held} orders with what they left in every service, and {options.items} items; "
        f"full ones were measured between empty ones (runs each time: {options.repeats}):"
    )
    empty, full = [*runs[0], *runs[2]], runs[1]
    rates = ("orders/s until notified", [one.rate for one in empty], [one.rate for one in full])
    costs = ("CPU of all programs, ms an order", [one.cost for one in empty], [one.cost for one in full])
    return [said, table(("", "empty", "full"), [rates, costs])]


def table(heads: tuple[str, str, str], rows: Sequence[tuple[str, Sequence[float], Sequence[float]]]) -> str:
    """Return a table of pairs of builds: medians with the lowest and highest of the runs, and their ratio."""
    lines = [f"| {' | '.join(heads)} | ratio |", "|---|---|---|---|"]
    lines += [
        f"| {what} | {_spread(first)} | {_spread(second)} | {median(second) / median(first):.2f} |"
        for what, first, second in rows
    ]
    return "\n".join(lines)


def _spread(rates: Sequence[float]) -> str:
    return f"{median(rates):.3g} ({min(rates):.3g} to {max(rates):.3g})"


def _runs(count: int) -> str:
    return f"medians of {count} runs, interleaved" if count > 1 else "one run of each"


def _when() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}; machine: {machine.describe()}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench-growth", description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="runs of each (default %(default)s)")
    parser.add_argument("--replica-orders", type=int, default=1_000, help="a run and replica (default %(default)s)")
    parser.add_argument("--orders", type=int, default=6_000, help="a run without replicas (default %(default)s)")
    parser.add_argument("--held", type=int, default=1_000_000, help="orders in the databases (default %(default)s)")
    parser.add_argument("--items", type=int, default=100_000, help="in the catalogue (default %(default)s)")
    parser.add_argument("--write", type=Path, help="put the figures into this page, between its marks")
    return parser


if __name__ == "__main__":
    sys.exit(main())
