"""Places orders while faults overlap, and reports violated invariants and the times of recovery."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from support.cluster import Cluster

from chaos import cluster, kinds, pods, schedule
from chaos.mutants import MUTANTS
from chaos.report import BUILD, Report, commit, keep, of_mutant, of_seed, percentile
from chaos.run import SETTLED, SETTLED_BROKEN, run_alone
from chaos.schedule import Kept, Round
from oms_servers.errors import LocalError
from oms_servers.testing import temporary_folder

SEED, RATE = 1, 35.0
FAULTS, FAULTS_OF_PODS = 250, 100  # default lengths of a schedule


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Return 1 if a rule is violated; if requested, a short schedule that violates it is then kept."""
    options = _parser().parse_args(argv)
    rounds = _planned(options)
    if options.mutant:
        return _hunt(options)
    report = _run(rounds, options)
    _show(report)
    if _is_measured(options):
        keep(report, of_seed(options.seed, on_cluster=options.cluster))
    if report.is_sound:
        return 0
    kept = BUILD / f"failing-{options.seed}.json"
    shortest = _shortest(rounds, options, report.noticed) if options.shrink else rounds
    schedule.write(kept, Kept(shortest, options.seed, options.rate))
    where = " --cluster" if options.cluster else ""
    print(f"chaos: scripts/chaos.sh{where} --schedule {kept} runs these faults again, under the same load")
    return 1


def _is_measured(options: argparse.Namespace) -> bool:
    """Whether the run replaces the last one with this seed on the page: it must be no shorter than others, and under no
    less load."""
    is_loaded = options.cluster or options.rate >= RATE
    return not options.schedule and _faults(options) >= _usual(options) and is_loaded


def _faults(options: argparse.Namespace) -> int:
    return _usual(options) if options.faults is None else int(options.faults)


def _usual(options: argparse.Namespace) -> int:
    return FAULTS_OF_PODS if options.cluster else FAULTS


def _planned(options: argparse.Namespace) -> list[Round]:
    """Return the rounds. Kept ones bring their seed and rate, unless the options say otherwise."""
    kept = schedule.read(options.schedule) if options.schedule else Kept([], SEED, RATE)
    options.seed = kept.seed if options.seed is None else options.seed
    options.rate = kept.rate if options.rate is None else options.rate
    if options.schedule:
        return kept.rounds
    if options.cluster:
        return schedule.schedule(options.seed, _faults(options), pods.TARGETS, pods.touched, pods.AT_ONCE)
    return schedule.schedule(options.seed, _faults(options), kinds.TARGETS, kinds.touched)


def _shortest(rounds: Sequence[Round], options: argparse.Namespace, broken: Sequence[str]) -> list[Round]:
    """Return the shortest schedule that still violates one of the same rules."""
    return schedule.shrink(rounds, lambda some: not set(broken).isdisjoint(_run(some, options).noticed))


def _hunt(options: argparse.Namespace) -> int:
    """Run with each of some deliberate bugs. Return 1 if one is not noticed, or prevents the run from starting."""
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
    seed, rate, code = options.seed, options.rate, commit()
    if options.cluster:
        report = cluster.run(Cluster(), rounds, seed, rate, _saying())
    else:
        report = run_alone(rounds, seed, rate, _saying(), environment, within=within)
    return replace(report, commit=code, schedule=schedule.digest(rounds))


def _saying() -> Callable[[str], None]:
    began = time.monotonic()
    return lambda line: print(f"chaos: [{time.monotonic() - began:4.0f} s] {line}", flush=True)


def _show(report: Report) -> None:
    ordered = report.recoveries
    print(
        f"chaos: seed {report.seed}, schedule {report.schedule}, commit {report.commit or 'unknown'}, "
        f"{report.faults.total()} faults of {len(report.faults)} kinds, "
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
    parser.add_argument("--seed", type=int, help=f"what the schedule is made from (default {SEED})")
    parser.add_argument("--faults", type=int, help=f"at least (default {FAULTS}; on a cluster {FAULTS_OF_PODS})")
    parser.add_argument("--rate", type=float, help=f"orders a second (default {RATE})")
    parser.add_argument("--schedule", type=Path, help="run the faults of this file, which an earlier run kept")
    parser.add_argument(
        "--mutant", nargs="+", metavar="NAME", help="run with this deliberate bug, which is to be noticed (all: each)"
    )
    parser.add_argument("--cluster", action="store_true", help="do it to the release of scripts/kind-up.sh")
    parser.add_argument("--shrink", action="store_true", help="look for a short schedule that fails, too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
