"""`oms outbox`: events that no broker accepted."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from oms_cli import show
from oms_cli.batches import Rate, Yes, act_on_each, confirm
from oms_cli.client import Json
from oms_cli.options import As, DryRun, Limit, OneService, Reason, ServiceArgument, Urls, acting, chosen, group, reading
from oms_cli.output import AsJson, out
from oms_cli.portions import said

app = group("Events in quarantine, because no broker accepted them: send them after all, or drop them.")
Ids = Annotated[list[int], typer.Argument(metavar="ID", help="Ids, as `oms outbox list` shows them.")]


@app.command("list")
def list_rows(
    service: OneService = None,
    topic: Annotated[str | None, typer.Option(help="Only those for this topic.")] = None,
    subject: Annotated[str | None, typer.Option("--order", help="Only those about this order (or item).")] = None,
    limit: Limit = 50,
    urls: Urls = None,
    as_json: AsJson = False,
) -> None:
    """List quarantined events, the oldest first.

    Example: `oms outbox list --service order`
    """
    admin = reading(urls)
    found = admin.pages_of(chosen(service), "/admin/outbox", limit, "quarantinedAt", topic=topic, subject=subject)
    out(said(found), _rows, as_json=as_json)


@app.command("redrive")
def redrive(
    service: ServiceArgument,
    ids: Ids,
    rate: Rate = 50.0,
    dry_run: DryRun = False,
    name: As = None,
    reason: Reason = None,
    urls: Urls = None,
    as_json: AsJson = False,
) -> None:
    """Put events back at the end of the outbox. Events that no broker accepts return to the quarantine.

    Example: `oms outbox redrive order 4711`
    """
    admin = acting(urls, name, reason, dry_run)
    act_on_each(
        sorted(ids),
        lambda row: {**admin.act(service, f"/admin/outbox/{row}/redrive"), "outcome": "waits to be sent"},
        str,
        rate=rate,
        as_json=as_json,
    )


@app.command("drop")
def drop(
    service: ServiceArgument,
    ids: Ids,
    yes: Yes = False,
    dry_run: DryRun = False,
    name: As = None,
    reason: Reason = None,
    urls: Urls = None,
    as_json: AsJson = False,
) -> None:
    """Delete quarantined events: orders and services that wait for them wait for ever.

    Example: `oms outbox drop order 4711 --yes`
    """
    admin = acting(urls, name, reason, dry_run)
    confirm(f"Delete {len(ids)} event(s) of {service}?", yes=yes, dry_run=dry_run)
    act_on_each(
        ids,
        lambda row: {**admin.act(service, f"/admin/outbox/{row}/drop"), "outcome": "dropped"},
        str,
        as_json=as_json,
    )


def _rows(found: Sequence[Json]) -> RenderableType:
    rows = (
        (one["service"], str(one["id"]), show.moment(one["quarantinedAt"]), one["topic"], one["subject"] or "",
         one["error"])
        for one in found
    )  # fmt: skip
    headings = ("service", "id", "since", "topic", "about", "error")
    return show.table(headings, rows) if found else Text("nothing is in quarantine")
