"""Commands for the stock's books, and for a catalogue that was restored."""

from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from oms_cli import show
from oms_cli.client import MOVEMENTS, Client, Json
from oms_cli.options import As, DryRun, Reason, Urls, acting
from oms_cli.output import AsJson, out
from oms_cli.portions import said

app = typer.Typer(help="Look into the stock's books; publish a restored catalogue.", no_args_is_help=True)
_ALL = "the inventory shows no more of them"
UNREAD = 100_000  # versions of one item that the order service may not have read yet


@app.command("check")
def check(as_json: AsJson = False) -> None:
    """Add up every movement of every item. The exit code is 1 if the sum is not the stock of some item."""
    found = Client.of_environment().differences()
    out(found, _differences, as_json=as_json)
    if found:
        raise typer.Exit(1)


@app.command("movements")
def movements(
    item: Annotated[str, typer.Argument(help="An item's id.")],
    limit: Annotated[int, typer.Option(help="How many at most: the newest.", min=1, max=MOVEMENTS)] = 100,
    as_json: AsJson = False,
) -> None:
    """Show what came and went of an item, newest first, with who and why."""
    found = Client.of_environment().movements(item, limit)
    out(said(found, _ALL) if limit == MOVEMENTS else said(found), _movements, as_json=as_json)


@app.command("publish")
def publish(
    reason: Reason = None,
    dry_run: DryRun = False,
    name: As = None,
    urls: Urls = None,
    as_json: AsJson = False,
) -> None:
    """Publish every item as it is, under versions above all that the order service has read, or may still read.

    Use it after the inventory's database was restored from a backup: until then, the order service ignores items that
    it knows in later versions.

    Example: `oms inventory publish --reason "restored to 01:17"`
    """
    admin = acting(urls, name, reason, dry_run)
    above = admin.get("order", "/admin/items/newest")["version"] + UNREAD
    published, after = 0, ""
    while after is not None:
        portion = admin.act("inventory", "/admin/items/publish", above=above, after=after)
        published, after = published + portion["items"], portion["last"]
    out({"items": published, "above": above}, lambda one: f"{one['items']} items are published", as_json=as_json)


def _differences(found: list[Json]) -> RenderableType:
    if not found:
        return Text("the stock of every item is what its movements come to")
    rows = ((one["id"], str(one["onHand"]), str(one["counted"])) for one in found)
    return show.table(("item", "on hand", "by its movements"), rows)


def _movements(found: list[Json]) -> RenderableType:
    rows = (
        (
            show.moment(one["at"]) if one.get("at") else "",
            one["kind"],
            f"{one['quantity']:+}",
            *(one.get(name) or "" for name in _WHO),
        )
        for one in found
    )
    return show.table(("at", "what", "how many", "order", "who", "why"), rows)


_WHO = ("orderId", "who", "why")
