"""Prints the results of commands: text for people, JSON for machines."""

import json
import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType

from oms_cli import show
from oms_cli.client import Json

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def out(found: Any, render: Callable[[Any], RenderableType], *, as_json: bool, console: Console | None = None) -> None:
    """Print a result, as one JSON document or as `render` shows it."""
    if as_json:
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()
    else:
        (console or terminal()).print(render(show.harmless(found)), markup=False, emoji=False, crop=False)


def follow(steps: Iterable[Json], *, as_json: bool, console: Console | None = None) -> Json | None:
    """Print an order's steps as they come, and return the last one."""
    console, first, last = console or terminal(), None, None
    for step in steps:
        first, last = first or step, step
        out(step, partial(show.step, first=first), as_json=as_json, console=console)
    return last


def terminal() -> Console:
    """Return the console of standard output. Lines are not wrapped if it is a file or a pipe."""
    return Console() if sys.stdout.isatty() else Console(width=200, highlight=False)
