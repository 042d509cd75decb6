"""The first of a list, and whether it goes on: one that ends without a word looks like the whole."""

from collections.abc import Sequence
from typing import Any

import typer

PAGE = 100  # rows that services have on a page at most


class Portion(list[dict[str, Any]]):
    """The first rows of a list; `is_cut` if there are more, or may be."""

    is_cut = False


def cut(rows: Sequence[dict[str, Any]], limit: int, *, goes_on: bool = False) -> Portion:
    """The first so many of these rows, after which the list may go on anyway."""
    made = Portion(rows[:limit])
    made.is_cut = goes_on or len(rows) > limit
    return made


def said(portion: Portion, advice: str = "a higher --limit has more of them") -> Portion:
    """The same; it is said on standard error if it is not the whole."""
    if portion.is_cut:
        typer.echo(f"these are {len(portion)}, and there are others: {advice}", err=True)
    return portion
