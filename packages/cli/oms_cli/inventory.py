"""Commands for the stock's books."""

from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from oms_cli import show
from oms_cli.client import Client, Json
from oms_cli.output import AsJson, out

app = typer.Typer(help="Look into the stock's books.", no_args_is_help=True)


@app.command("check")
def check(as_json: AsJson = False) -> None:
    """Add up every movement of every item; the exit code is 1 if there is an item with another stock."""
    found = Client.of_environment().differences()
    out(found, _differences, as_json=as_json)
    if found:
        raise typer.Exit(1)


@app.command("movements")
def movements(item: Annotated[str, typer.Argument(help="An item's id.")], as_json: AsJson = False) -> None:
    """Show what came and went of an item, newest first, with who and why."""
    out(Client.of_environment().movements(item), _movements, as_json=as_json)


def _differences(found: list[Json]) -> RenderableType:
    if not found:
        return Text("the stock of every item is what its movements come to")
    rows = ((one["id"], str(one["onHand"]), str(one["counted"])) for one in found)
    return show.table(("item", "on hand", "by its movements"), rows)


def _movements(found: list[Json]) -> RenderableType:
    rows = (
        (one.get("at", ""), one["kind"], f"{one['quantity']:+}", *(one.get(name) or "" for name in _WHO))
        for one in found
    )
    return show.table(("at", "what", "how many", "order", "who", "why"), rows)


_WHO = ("orderId", "who", "why")
