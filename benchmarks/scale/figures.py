"""Measured figures and their bounds."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median

REPEATS = 12  # after the fifth call, the server may choose a plan that ignores the parameters


@dataclass(frozen=True)
class Figure:
    """A value in a unit, with its upper bound."""

    what: str
    value: float
    bound: float
    unit: str = "ms"

    @property
    def holds(self) -> bool:
        """Whether the value is within its bound."""
        return self.value <= self.bound


def slowest(what: str, bound: float, call: Callable[[], object]) -> Figure:
    """Return the time of the slowest of several calls in milliseconds, without the first, for which caches are cold."""
    call()
    return Figure(what, max(_milliseconds(call) for _ in range(REPEATS)), bound)


def worst(what: str, figures: Sequence[Figure]) -> Figure:
    """Return the highest of several figures of a kind, with its name."""
    highest = max(figures, key=lambda one: one.value)
    return replace(highest, what=f"{what}: the slowest of {len(figures)} ({highest.what})")


def typical(call: Callable[[], object], repeats: int = 50) -> float:
    """Return the median time of a call, in milliseconds."""
    return median(_milliseconds(call) for _ in range(repeats))


def _milliseconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a Markdown table."""
    rows = [f"| {one.what} | {one.value:.1f} {one.unit} | {one.bound:g} {one.unit} |{_mark(one)}" for one in figures]
    return "\n".join(["| what | measured | bound |", "|---|---|---|", *rows])


def _mark(figure: Figure) -> str:
    return "" if figure.holds else " TOO MUCH"
