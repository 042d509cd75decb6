"""`oms deadletters`: messages that could not be handled after all retries."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from oms_cli import show
from oms_cli.admin import Admin
from oms_cli.batches import Rate, Yes, act_on_each, confirm
from oms_cli.client import Json
from oms_cli.options import (
    As,
    DryRun,
    Limit,
    OneService,
    Reason,
    ServiceArgument,
    Urls,
    acting,
    chosen,
    group,
    reading,
)
from oms_cli.output import AsJson, out
from oms_cli.portions import said
from oms_servers.errors import LocalError

AFTER = 1000  # earlier letters that a service treats as applied in a dry run
app = group("Messages that could not be handled after all retries: show them, and apply them after all.")
Topic = Annotated[str | None, typer.Option(help="Only those that were read from this topic.")]
Subject = Annotated[str | None, typer.Option("--order", help="Only those about this order (or item).")]
Error = Annotated[str | None, typer.Option(help="Only those that failed with this class of error.")]
Ids = Annotated[list[int] | None, typer.Argument(metavar="ID", help="Ids, as `oms deadletters list` shows them.")]
All = Annotated[bool, typer.Option("--all", help="All that match the filters, --limit of them at most.")]


@app.command("list")
def list_letters(
    service: OneService = None,
    state: Annotated[str, typer.Option(help="dead, redriven or dropped.")] = "dead",
    topic: Topic = None,
    subject: Subject = None,
    error: Error = None,
    limit: Limit = 50,
    urls: Urls = None,
    as_json: AsJson = False,
) -> None:
    """List dead letters, the oldest first.

    Example: `oms deadletters list --service payment --error LookupError`
    """
    admin = reading(urls)
    filters = {"state": state, "topic": topic, "subject": subject, "error": error}
    found = admin.pages_of(chosen(service), "/admin/dead-letters", limit, "deadAt", **filters)
    out(said(found), _letters, as_json=as_json)


@app.command("show")
def show_letter(
    service: ServiceArgument,
    letter: Annotated[int, typer.Argument(metavar="ID", help="The letter's id.")],
    reveal: Annotated[
        bool, typer.Option("--reveal", help="With the customer's data; the audit log records it.")
    ] = False,
    name: As = None,
    reason: Reason = None,
    urls: Urls = None,
) -> None:
    """Show a dead letter, as JSON. Data of customers is masked unless revealed; data of cards is never shown.

    Example: `oms deadletters show payment 17`
    """
    admin, path = acting(urls, name, reason), f"/admin/dead-letters/{letter}"
    out(admin.look(service, f"{path}/reveal") if reveal else admin.get(service, path), str, as_json=True)


@app.command("redrive")
def redrive(
    service: ServiceArgument,
    ids: Ids = None,
    everything: All = False,
    topic: Topic = None,
    subject: Subject = None,
    error: Error = None,
    limit: Limit = 100,
    rate: Rate = 50.0,
    dry_run: DryRun = False,
    name: As = None,
    reason: Reason = None,
    urls: Urls = None,
    as_json: AsJson = False,
) -> None:
    """Apply the events of dead letters after all, once each, in their order.

    A dry run applies each after the earlier ones, and rolls it back: it shows whether the cause is repaired.

    Examples: `oms deadletters redrive payment 17`, `oms deadletters redrive payment --all --topic orderCreatedEvent`
    """
    admin = acting(urls, name, reason, dry_run)
    filters = {"topic": topic, "subject": subject, "error": error}
    letters = _chosen(admin, service, ids, everything, limit, filters)
    act_on_each(
        letters,
        lambda letter: dict(
            admin.act(service, f"/admin/dead-letters/{letter}/redrive", **_after(letter, letters, dry_run))
        ),
        str,
        rate=rate,
        as_json=as_json,
    )


@app.command("drop")
def drop(
    service: ServiceArgument,
    ids: Annotated[list[int], typer.Argument(metavar="ID", help="Ids, as `oms deadletters list` shows them.")],
    yes: Yes = False,
    dry_run: DryRun = False,
    name: As = None,
    reason: Reason = None,
    urls: Urls = None,
    as_json: AsJson = False,
) -> None:
    """Give dead letters up: their events are never applied. Their contents stay until the retention ends.

    Example: `oms deadletters drop payment 17 --reason "sent by a test"`
    """
    admin = acting(urls, name, reason, dry_run)
    confirm(f"Never apply {len(ids)} event(s) of {service}?", yes=yes, dry_run=dry_run)
    act_on_each(
        ids, lambda letter: dict(admin.act(service, f"/admin/dead-letters/{letter}/drop")), str, as_json=as_json
    )


def _chosen(
    admin: Admin, service: str, ids: Sequence[int] | None, everything: bool, limit: int, filters: dict[str, str | None]
) -> Sequence[int]:
    if bool(ids) == everything:
        raise LocalError("Which letters?", "Name their ids, or say --all, with filters if you like")
    if ids:
        return sorted(set(ids))
    found = said(admin.pages(service, "/admin/dead-letters", limit, state="dead", **filters))
    return [int(letter["id"]) for letter in found]


def _after(letter: int, letters: Sequence[int], dry_run: bool) -> Json:
    """Return the earlier letters, which a dry run has to apply again, because it rolls everything back."""
    return {"after": [one for one in letters if one < letter][-AFTER:]} if dry_run else {}


def _letters(found: Sequence[Json]) -> RenderableType:
    rows = (
        (one["service"], str(one["id"]), show.moment(one["deadAt"]), one["topic"], one["subject"] or "", one["error"],
         one["state"])
        for one in found
    )  # fmt: skip
    headings = ("service", "id", "since", "topic", "about", "error", "state")
    return show.table(headings, rows) if found else Text("no dead letters")
