"""Compare OMS with two other builds of the same flow, FastStream and a naive one: `scripts/bench.sh --help`."""

import argparse
import sys
from pathlib import Path

from benchmarks import memory, rates, report, runs
from benchmarks.runs import Result

BUILDS = ("oms", "faststream", "naive")


def main() -> int:
    """Run, print, and write the page if asked to. Return the exit code, 1 if an invariant was violated."""
    options = _parser().parse_args()
    steady = {}
    for rate in options.rates:  # first, because after the other runs the disk is busy for a while with their writes
        print(f"POST at {rate:.0f}/s for {options.seconds:.0f} s", flush=True)
        steady[rate] = rates.at_rate(rate, options.seconds)
    print(f"nothing at all for {options.seconds:.0f} s", flush=True)
    rest = rates.at_rest(options.seconds)
    print("orders one at a time", flush=True)
    lone = rates.lone()
    results = list(_interleaved(options))
    page = report.page(results, steady, rest, lone, memory.of_libraries(), "scripts/bench.sh " + " ".join(sys.argv[1:]))
    print(page)
    if options.write:
        options.write.write_text(page)
    return 1 if any(one.violations for one in results) else 0


def _interleaved(options: argparse.Namespace) -> list[Result]:
    """Run the builds forwards, then backwards, so that a drift of the machine affects all of them alike."""
    results = []
    orders = {"oms": options.orders, "faststream": options.faststream_orders, "naive": options.naive_orders}
    for repeat in range(options.repeats):
        for build in options.builds if repeat % 2 == 0 else reversed(options.builds):
            result = runs.throughput(build, orders[build], options.connections)
            results.append(result)
            said = f"run {repeat + 1} of {options.repeats}, {build}: {result.notified_per_second:.0f} orders/s"
            print(said, *result.violations, sep="\n  ", flush=True)
    return results


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/bench.sh", description=__doc__)
    parser.add_argument("--orders", type=int, default=20_000, help="of each run of OMS (default %(default)s)")
    parser.add_argument("--builds", nargs="+", choices=BUILDS, default=BUILDS, help="(default: all)")
    parser.add_argument("--faststream-orders", type=int, default=10_000, help="of each FastStream run (%(default)s)")
    parser.add_argument("--naive-orders", type=int, default=2_000, help="of each naive run (default %(default)s)")
    parser.add_argument(
        "--repeats", type=int, default=5, help="runs of each build (default %(default)s; 0: latencies only)"
    )
    parser.add_argument("--connections", type=int, default=64, help="of the generator (default %(default)s)")
    parser.add_argument(
        "--rates", type=float, nargs="*", default=[1.0, 10.0, 50.0, 150.0], help="orders/s of the open model"
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="of each rate (default %(default)s)")
    parser.add_argument("--write", type=Path, help="write the page to this file, too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
