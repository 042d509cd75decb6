"""Commands on several things, one after the other: each answer is shown as it comes, and a refusal does not stop the
others."""

import time
from collections.abc import Callable, Iterable
from typing import Annotated, TypeVar

import typer
from rich.text import Text

from oms_cli import unanswered
from oms_cli.answers import Refused
from oms_cli.client import Json
from oms_cli.output import out

T = TypeVar("T")
Rate = Annotated[float, typer.Option("--rate", help="How many a second at most.", min=0.1, max=1000)]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def act_on_each(
    things: Iterable[T], act: Callable[[T], Json], name: Callable[[T], str], *, rate: float = 50.0, as_json: bool
) -> None:
    """Act on each, and print the outcome. The exit code is 1 if one was refused."""
    things, refused = list(things), False
    if not things:
        typer.echo("there is nothing like that", err=True)
    for number, thing in enumerate(things):
        if number:
            time.sleep(1 / rate)
        try:
            came = act(thing)
        except Refused as refusal:
            refused, came = True, _refused(refusal)
        out({"id": name(thing), **came}, _line, as_json=as_json)
    if refused:
        raise typer.Exit(1)


def _refused(refusal: Refused) -> Json:
    return {"unknown": str(refusal)} if unanswered.is_open(refusal) else {"refused": refusal.message}


def _line(came: Json) -> Text:
    failed = came.get("refused") or came.get("unknown")
    said = failed or came.get("outcome") or came.get("state") or "done"
    return Text.assemble(f"{came['id']}: ", (str(said), "red" if failed else "green"))


def confirm(question: str, *, yes: bool, dry_run: bool) -> None:
    """Ask for confirmation, unless it was given already or it is a dry run. Any answer but yes ends the command."""
    if not yes and not dry_run:
        typer.confirm(question, abort=True)
