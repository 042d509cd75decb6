"""What was measured, next to what it may be."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median

REPEATS = 12  # beyond the fifth time the server may choose a plan that does not look at the parameters


@dataclass(frozen=True)
class Figure:
    """A value in a unit, with the most that it may be."""

    what: str
    value: float
    bound: float
    unit: str = "ms"

    @property
    def holds(self) -> bool:
        """Whether it is within its bound."""
        return self.value <= self.bound


def slowest(what: str, bound: float, call: Callable[[], object]) -> Figure:
    """The slowest of several calls but the first, which finds nothing in the caches; in milliseconds."""
    call()
    return Figure(what, max(_milliseconds(call) for _ in range(REPEATS)), bound)


def worst(what: str, figures: Sequence[Figure]) -> Figure:
    """The figure among several of a kind that is the highest, and which one that is."""
    highest = max(figures, key=lambda one: one.value)
    return replace(highest, what=f"{what}: the slowest of {len(figures)} ({highest.what})")


def typical(call: Callable[[], object], repeats: int = 50) -> float:
    """The median time of a call, in milliseconds."""
    return median(_milliseconds(call) for _ in range(repeats))


def _milliseconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def table(figures: Sequence[Figure]) -> str:
    """The figures as a table of Markdown."""
    rows = [f"| {one.what} | {one.value:.1f} {one.unit} | {one.bound:g} {one.unit} |{_mark(one)}" for one in figures]
    return "\n".join(["| what | measured | bound |", "|---|---|---|", *rows])


def _mark(figure: Figure) -> str:
    return "" if figure.holds else " TOO MUCH"
