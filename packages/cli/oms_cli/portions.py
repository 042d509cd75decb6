"""The first rows of a list, and whether there are more: a list that ends without saying so looks complete."""

from collections.abc import Sequence
from typing import Any

import typer

PAGE = 100  # rows on a service's page at most


class Portion(list[dict[str, Any]]):
    """The first rows of a list. `is_cut` says that there are more, or may be."""

    is_cut = False


def cut(rows: Sequence[dict[str, Any]], limit: int, *, goes_on: bool = False) -> Portion:
    """Return the first `limit` of these rows. `goes_on` says that the list has more rows than these."""
    made = Portion(rows[:limit])
    made.is_cut = goes_on or len(rows) > limit
    return made


def said(portion: Portion, advice: str = "a higher --limit has more of them") -> Portion:
    """Return the same rows, and say on standard error if there are more."""
    if portion.is_cut:
        typer.echo(f"these are {len(portion)}, and there are others: {advice}", err=True)
    return portion
