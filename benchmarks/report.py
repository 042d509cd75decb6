"""Renders the figures as a page: ratios within one run of the benchmark, and the machine that it ran on."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from statistics import median

from support import machine

from benchmarks.memory import LIBRARIES
from benchmarks.rates import AtRate
from benchmarks.runs import Result
from oms_contracts.topics import SERVICES

NAMES = {"oms": "OMS", "faststream": "FastStream", "naive": "naive"}
ARMS = (
    "The FastStream build (`benchmarks/faststream/`) is the same flow on asyncio with batch subscribers, an outbox and "
    "an inbox; its docstring says which guarantees it lacks. The naive build (`benchmarks/naive.py`) has a session and "
    "a commit per message and `send().get()` per event, and keeps no guarantee."
)


NOOP = (
    "At the same time, and as often, a FastAPI route of its own process that takes the body and does nothing else "
    "(`benchmarks/noop.py`) was asked by the same generator."
)


def page(
    results: Sequence[Result],
    steady: Mapping[float, AtRate],
    rest: Mapping[str, float],
    lone: Sequence[float],
    libraries: float,
    command: str,
) -> str:
    """Return the text of docs/performance.md."""
    parts = [
        "# Performance",
        (
            f"Written by `{command}` on {datetime.now(UTC):%Y-%m-%d}; machine: {machine.describe()}. The load "
            "generator, the Postgres servers, Kafka, the mail catcher and the services share it. Compare the "
            "ratios, not the absolute figures, with what you measure elsewhere."
        ),
        *(_comparison(results, libraries) if results else ()),
        "## POST /order at a fixed rate (open model)",
        latency_table(steady),
        NOOP,
        "## What an order costs at a rate",
        cost_table(steady),
        "CPU of all programs in milliseconds an order, what they need while nothing happens included.",
        rest_line(rest),
        "## A lone order",
        lone_line(lone),
    ]
    return "\n\n".join(parts) + "\n"


def _comparison(results: Sequence[Result], libraries: float) -> tuple[str, ...]:
    violated = sum(len(one.violations) for one in _of("oms", results))
    return (
        "## CPU an order costs, until its customer was notified",
        cpu_table(results),
        "## Orders a second",
        throughput_table(results),
        *(_ratios(build, results) for build in _builds(results) if build != "oms"),
        f"Violated invariants in the counted runs of OMS: {violated}. {ARMS}",
        "## Memory",
        memory_table([_of(build, results)[-1] for build in _builds(results)]),
        (
            f"A process that has imported {', '.join(LIBRARIES)}, and nothing else, has {libraries:.0f} MiB: five such "
            f"come to {len(SERVICES) * libraries:.0f}."
        ),
    )


def _of(build: str, results: Sequence[Result]) -> list[Result]:
    return [one for one in results if one.build == build]


def _builds(results: Sequence[Result]) -> list[str]:
    return [build for build in NAMES if _of(build, results)]


def _ratios(build: str, results: Sequence[Result]) -> str:
    ours, theirs = _of("oms", results), _of(build, results)
    notified = median(one.notified_per_second for one in ours) / median(one.notified_per_second for one in theirs)
    terminal = median(one.per_second for one in ours) / median(one.per_second for one in theirs)
    cpu = median(map(_together, ours)) / median(map(_together, theirs))
    return (
        f"**OMS next to {NAMES[build]}, medians: {notified:.1f} times the orders/s until notified, "
        f"{terminal:.1f} times until terminal, {cpu:.2f} of the CPU an order.**"
    )


def _together(run: Result) -> float:
    return sum(run.cpu.values())


def throughput_table(results: Sequence[Result]) -> str:
    """Return a table with a row for each build; rates are medians, with the lowest and highest of the runs."""
    rows = ["| build | orders a run | runs | until notified | until terminal | accepted |", "|---|---|---|---|---|---|"]
    for build in _builds(results):
        runs = _of(build, results)
        notified = _spread([one.notified_per_second for one in runs])
        terminal = _spread([one.per_second for one in runs])
        accepted = _spread([one.accepted_per_second for one in runs])
        rows.append(f"| {NAMES[build]} | {runs[0].orders} | {len(runs)} | {notified} | {terminal} | {accepted} |")
    return "\n".join(rows)


def _spread(rates: Sequence[float]) -> str:
    return f"{median(rates):.0f} ({min(rates):.0f} to {max(rates):.0f})"


def cpu_table(results: Sequence[Result]) -> str:
    """Return the CPU time of each program (row) in each build (column), in milliseconds per order: medians of runs."""
    builds = _builds(results)
    rows = [
        f"| program, ms | {' | '.join(NAMES[build] for build in builds)} |",
        "|---|" + "---|" * len(builds),
    ]
    for name in _of(builds[0], results)[0].cpu:
        figures = (median(one.cpu.get(name, 0.0) for one in _of(build, results)) for build in builds)
        rows.append(f"| {name} | " + " | ".join(f"{figure:.2f}" for figure in figures) + " |")
    together = (median(map(_together, _of(build, results))) for build in builds)
    rows.append("| together | " + " | ".join(f"{figure:.2f}" for figure in together) + " |")
    return "\n".join(rows)


def latency_table(steady: Mapping[float, AtRate]) -> str:
    """Return the latencies in milliseconds, with a row for each rate."""
    rows = [
        "| orders/s | accepted | p50 ms | p90 ms | p99 ms | highest ms | p99 of the no-op, ms | p99 by that |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for rate, one in steady.items():
        orders, noop = one.orders, 1000 * one.noop.percentile(99)
        figures = " | ".join(f"{1000 * orders.percentile(percent):.1f}" for percent in (50, 90, 99, 100))
        accepted = f"{orders.accepted} of {orders.accepted + orders.refused}"
        rows.append(f"| {rate:.0f} | {accepted} | {figures} | {noop:.1f} | {one.ratio:.1f} |")
    return "\n".join(rows)


def cost_table(steady: Mapping[float, AtRate]) -> str:
    """Return the CPU time of all programs and its share of the machine's cores, with a row for each rate."""
    rows = ["| orders/s | ms an order | of a core |", "|---|---|---|"]
    for rate, one in steady.items():
        together = sum(one.cpu.values())
        rows.append(f"| {rate:.0f} | {together:.1f} | {together * rate / 1000:.2f} |")
    return "\n".join(rows)


def rest_line(rest: Mapping[str, float]) -> str:
    """Return the line about the CPU that an idle system needs."""
    services = sum(share for name, share in rest.items() if name in SERVICES)
    return (
        f"While nothing happens, all programs together need {sum(rest.values()):.2f} of a core: the services "
        f"{services:.2f}, Kafka {rest['kafka']:.2f}."
    )


def lone_line(seconds: Sequence[float]) -> str:
    """Return the line about how long orders took that were alone."""
    typical, slowest = 1000 * median(seconds), 1000 * max(seconds)
    return (
        f"From its acceptance until CONFIRMED, by its timeline: {typical:.0f} ms (median of {len(seconds)}; "
        f"{slowest:.0f} ms the slowest)."
    )


def memory_table(runs: Sequence[Result]) -> str:
    """Return the memory of each program of the first run's build, and of the services of every build together."""
    ours = runs[0]
    rows = ["| program | idle, MiB | after the run, MiB |", "|---|---|---|"]
    rows += [_memory_row(name, ours, [name]) for name in ours.memory]
    rows += [_memory_row(f"the services, {NAMES[run.build]}", run, SERVICES) for run in runs]
    return "\n".join([*rows, _memory_row(f"all programs, {NAMES[ours.build]}", ours, list(ours.memory))])


def _memory_row(title: str, run: Result, names: Iterable[str]) -> str:
    idle, after = (sum(sizes.get(name, 0.0) for name in names) for sizes in (run.idle, run.memory))
    return f"| {title} | {idle:.0f} | {after:.0f} |"
