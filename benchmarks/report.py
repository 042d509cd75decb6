"""The figures as a page: ratios within one run of the benchmark, and the machine that it ran on."""

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from statistics import median

import psutil

from benchmarks.load import Outcome
from benchmarks.runs import Result

AIMS = "1,500 orders/s on two cores, 15 times the naive build, and a p99 of 10 ms for POST at 150 orders/s."


def page(results: Sequence[Result], steady: Mapping[float, Outcome], command: str) -> str:
    """docs/performance.md."""
    parts = [
        "# Performance",
        (
            f"Written by `{command}` on {datetime.now(UTC):%Y-%m-%d}; machine: {machine()}. The load generator, the "
            "Postgres servers, Kafka, the mail catcher and the services share it. Compare the ratio, not the "
            "absolute figures, with what you measure elsewhere."
        ),
        *(_throughput(results) if results else ()),
        "## POST /order at a fixed rate (open model)",
        latency_table(steady),
        f"Aimed at: {AIMS}",
        *(_resources(results) if results else ()),
    ]
    return "\n\n".join(parts) + "\n"


def _throughput(results: Sequence[Result]) -> tuple[str, ...]:
    ours, naive = _of("oms", results), _of("naive", results)
    return (
        "## From the first POST to the last terminal order",
        throughput_table(ours, naive),
        (
            f"**Ratio of the medians: {ratio(ours, naive):.1f}.** Violated invariants in the counted runs: "
            f"{sum(len(one.violations) for one in ours)}. The naive build (`benchmarks/naive.py`) is the same flow, "
            "with a session and a commit per message and `send().get()` per event; it keeps no guarantee."
        ),
    )


def _resources(results: Sequence[Result]) -> tuple[str, ...]:
    return "## Where the time and the memory go", resources_table(_of("oms", results)[-1])


def _of(build: str, results: Sequence[Result]) -> list[Result]:
    return [one for one in results if one.build == build]


def ratio(ours: Sequence[Result], naive: Sequence[Result]) -> float:
    """How many times the naive build's median rate ours is."""
    return median(one.per_second for one in ours) / median(one.per_second for one in naive)


def machine() -> str:
    """Cores, processor and memory."""
    memory = psutil.virtual_memory().total / 2**30
    return f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GiB, Python {platform.python_version()}"


def throughput_table(ours: Sequence[Result], naive: Sequence[Result]) -> str:
    """One row a build."""
    rows = [
        "| build | orders a run | runs | orders/s: median | lowest | highest | until customers were notified, too |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, runs in (("OMS", ours), ("naive", naive)):
        rates = [one.per_second for one in runs]
        notified = median(one.notified_per_second for one in runs)
        figures = f"{median(rates):.0f} | {min(rates):.0f} | {max(rates):.0f} | {notified:.0f}"
        rows.append(f"| {name} | {runs[0].orders} | {len(runs)} | {figures} |")
    return "\n".join(rows)


def latency_table(steady: Mapping[float, Outcome]) -> str:
    """One row a rate, in milliseconds."""
    rows = ["| orders/s | accepted | p50 ms | p90 ms | p99 ms | highest ms |", "|---|---|---|---|---|---|"]
    for rate, one in steady.items():
        figures = " | ".join(f"{1000 * one.percentile(percent):.1f}" for percent in (50, 90, 99, 100))
        rows.append(f"| {rate:.0f} | {one.accepted} of {one.accepted + one.refused} | {figures} |")
    return "\n".join(rows)


def resources_table(run: Result) -> str:
    """One row a program."""
    rows = ["| program | CPU ms an order | memory MiB after the run |", "|---|---|---|"]
    rows += [f"| {name} | {run.cpu[name]:.2f} | {size:.0f} |" for name, size in run.memory.items()]
    rows.append(f"| together | {sum(run.cpu.values()):.2f} | {sum(run.memory.values()):.0f} |")
    return "\n".join(rows)
