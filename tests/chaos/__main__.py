"""Orders while faults overlap: what breaks an invariant, and how long it takes to recover."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from support.cluster import Cluster

from chaos import cluster, kinds, pods, schedule
from chaos.mutants import MUTANTS
from chaos.report import BUILD, Report, keep, of_mutant, of_seed, percentile
from chaos.run import SETTLED, SETTLED_BROKEN, run_alone
from chaos.schedule import Round
from oms_servers.errors import LocalError
from oms_servers.testing import temporary_folder

FAULTS, FAULTS_OF_PODS = 250, 100  # that a schedule has, unless something else is asked for


def main(argv: Sequence[str] | None = None) -> int:
    """Run it; 1 if anything is broken, and then, if asked for, a short schedule that breaks it is kept."""
    options = _parser().parse_args(argv)
    if options.mutant:
        return _hunt(options)
    rounds = _rounds(options)
    report = _run(rounds, options)
    _show(report)
    if _is_measured(options):
        keep(report, of_seed(options.seed, on_cluster=options.cluster))
    if report.is_sound:
        return 0
    kept = BUILD / f"failing-{options.seed}.json"
    schedule.write(kept, _shortest(rounds, options, report.noticed) if options.shrink else rounds)
    print(f"chaos: scripts/chaos.sh --schedule {kept} runs these faults again")
    return 1


def _is_measured(options: argparse.Namespace) -> bool:
    """Whether it is a run that the page shows of this seed, in the place of the last one: no shorter than others."""
    return not options.schedule and _faults(options) >= _usual(options)


def _faults(options: argparse.Namespace) -> int:
    return int(options.faults or _usual(options))


def _usual(options: argparse.Namespace) -> int:
    return FAULTS_OF_PODS if options.cluster else FAULTS


def _rounds(options: argparse.Namespace) -> list[Round]:
    if options.schedule:
        return schedule.read(options.schedule)
    if options.cluster:
        return schedule.schedule(options.seed, _faults(options), pods.TARGETS, pods.touched, pods.AT_ONCE)
    return schedule.schedule(options.seed, _faults(options), kinds.TARGETS, kinds.touched)


def _shortest(rounds: Sequence[Round], options: argparse.Namespace, broken: Sequence[str]) -> list[Round]:
    """What still breaks one of the same rules."""
    return schedule.shrink(rounds, lambda some: not set(broken).isdisjoint(_run(some, options).noticed))


def _hunt(options: argparse.Namespace) -> int:
    """Run with each of some deliberate bugs; 1 if one is not noticed, or is such that nothing begins at all."""
    survivors = 0
    for name in MUTANTS if options.mutant == ["all"] else options.mutant:
        try:
            report = _with_bug(name, options)
        except (AssertionError, LocalError) as error:
            survivors += 1
            print(f"chaos: the bug that {name}: NOT TRIED: {error}", flush=True)
            continue
        keep(report, of_mutant(name))
        survivors += not report.is_proof
        by = ", ".join(report.noticed) if report.is_proof else "NOT NOTICED"
        print(f"chaos: the bug that {name}: {by}", flush=True)
    return 1 if survivors else 0


def _with_bug(name: str, options: argparse.Namespace) -> Report:
    with temporary_folder() as folder:
        mutant = MUTANTS[name]
        path = os.pathsep.join(filter(None, [str(mutant.write(folder)), os.environ.get("PYTHONPATH")]))
        environment = {**mutant.environment, "PYTHONPATH": path}
        return _run(mutant.rounds, options, environment, within=SETTLED_BROKEN)


def _run(
    rounds: Sequence[Round],
    options: argparse.Namespace,
    environment: Mapping[str, str] = {},
    *,
    within: float = SETTLED,
) -> Report:
    if options.cluster:
        return cluster.run(Cluster(), rounds, options.seed, options.rate, _saying())
    return run_alone(rounds, options.seed, options.rate, _saying(), environment, within=within)


def _saying() -> Callable[[str], None]:
    began = time.monotonic()
    return lambda line: print(f"chaos: [{time.monotonic() - began:4.0f} s] {line}", flush=True)


def _show(report: Report) -> None:
    ordered = report.recoveries
    print(
        f"chaos: seed {report.seed}, {sum(report.faults.values())} faults of {len(report.faults)} kinds, "
        f"{report.accepted} orders accepted, {report.cancelled} cancelled, {report.refused} requests refused, "
        f"{report.in_doubt} in doubt, {report.refunds} refunds promised, {report.failed} failed, "
        f"{report.redriven} letters redriven, {report.copies} emails twice; slowest answer {report.answered} s; "
        f"recovery p50 {percentile(ordered, 50)} s, p95 {percentile(ordered, 95)} s, highest {ordered[-1]} s; "
        f"{len(report.broken)} rules or bounds broken"
    )
    for line in report.broken[:50]:
        print(f"chaos: broken: {line}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/chaos.sh", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="what the schedule is made from (default %(default)s)")
    parser.add_argument("--faults", type=int, help=f"at least (default {FAULTS}; on a cluster {FAULTS_OF_PODS})")
    parser.add_argument("--rate", type=float, default=35.0, help="orders a second (default %(default)s)")
    parser.add_argument("--schedule", type=Path, help="run the faults of this file, which an earlier run kept")
    parser.add_argument(
        "--mutant", nargs="+", metavar="NAME", help="run with this deliberate bug, which is to be noticed (all: each)"
    )
    parser.add_argument("--cluster", action="store_true", help="do it to the release of scripts/kind-up.sh")
    parser.add_argument("--shrink", action="store_true", help="look for a short schedule that fails, too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
