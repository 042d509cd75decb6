"""`oms audit`: what operators did."""

import json
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from oms_cli import show
from oms_cli.client import Json
from oms_cli.options import Limit, OneService, Urls, chosen, group, reading
from oms_cli.output import AsJson, out
from oms_cli.portions import said

FEW = 3  # entries of a changed list: an export may have thousands of orders, and --json shows them all
app = group("See what operators did: each act is an entry that nothing changes or deletes.")


@app.command("list")
def list_audit(
    service: OneService = None,
    operator: Annotated[str | None, typer.Option(help="Only what this operator did.")] = None,
    subject: Annotated[
        str | None, typer.Option(help="Only what was done to this order, also to events and calls about it.")
    ] = None,
    action: Annotated[str | None, typer.Option(help="Only this action, such as deadletters.redrive.")] = None,
    limit: Limit = 50,
    urls: Urls = None,
    as_json: AsJson = False,
) -> None:
    """List what operators did, newest first.

    Example: `oms audit list --operator ann --service payment`
    """
    admin = reading(urls)
    filters = {"operator": operator, "subject": subject, "action": action}
    found = admin.pages_of(chosen(service), "/admin/audit", limit, "at", "service", True, **filters)
    out(said(found), entries, as_json=as_json)


def entries(found: Sequence[Json]) -> RenderableType:
    rows = (
        (show.moment(one["at"]), one["operator"], one["service"], one["action"], one["subject"], _change(one),
         one["reason"] or "")
        for one in found
    )  # fmt: skip
    headings = ("when", "who", "service", "action", "subject", "change", "reason")
    return show.table(headings, rows) if found else Text("no operator has done anything like that")


def _change(entry: Json) -> str:
    before, after = (entry[name] or {} for name in ("before", "after"))
    changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return ", ".join(f"{name}: {_shown(before.get(name))} → {_shown(after.get(name))}" for name in changed)


def _shown(value: object) -> str:
    if isinstance(value, list) and len(value) > FEW:
        return f"{json.dumps(value[:FEW])} and {len(value) - FEW} others"
    return value if isinstance(value, str) else "none" if value is None else json.dumps(value)
