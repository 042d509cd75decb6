"""`oms jobs`: calls to gateways, mail servers and SMS providers that are still to be made."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from oms_cli import show
from oms_cli.batches import Yes, act_on_each, confirm
from oms_cli.client import Json
from oms_cli.options import As, DryRun, Limit, OneService, Reason, ServiceArgument, Urls, acting, chosen, group, reading
from oms_cli.output import AsJson, out
from oms_cli.portions import said

app = group("Calls to the outside that are still to be made, or were given up.")
Queue = Annotated[str, typer.Argument(help="The job's queue, as `oms jobs list` shows it.")]
Ids = Annotated[list[str], typer.Argument(metavar="ID", help="Ids, as `oms jobs list` shows them.")]


@app.command("list")
def list_jobs(
    service: OneService = None,
    state: Annotated[str | None, typer.Option(help="dead (given up), failing or waiting.")] = None,
    queue: Annotated[
        str | None, typer.Option(help="Only those of this queue: charge, refund, requested-refund, email, sms.")
    ] = None,
    subject: Annotated[str | None, typer.Option("--order", help="Only those about this order.")] = None,
    limit: Limit = 50,
    urls: Urls = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, the oldest first.

    Example: `oms jobs list --state dead`
    """
    admin = reading(urls)
    filters = {"state": state, "queue": queue, "subject": subject}
    found = admin.pages_of(chosen(service), "/admin/jobs", limit, "createdAt", **filters)
    out(said(found), _jobs, as_json=as_json)


@app.command("retry")
def retry(
    service: ServiceArgument,
    queue: Queue,
    ids: Ids,
    dry_run: DryRun = False,
    name: As = None,
    reason: Reason = None,
    urls: Urls = None,
    as_json: AsJson = False,
) -> None:
    """Have calls made now: those that were given up start again, and others do not wait for their next turn.

    A call in progress, for example to a slow mail server, is not repeated, but refused: the customer would get the mail
    twice. The metric oms_job_call_oldest_seconds shows how long one has lasted.

    Example: `oms jobs retry payment refund ORDER:refund`
    """
    admin = acting(urls, name, reason, dry_run)
    act_on_each(
        ids,
        lambda job: {**admin.act(service, "/admin/jobs/retry", queue=queue, id=job), "outcome": "is due"},
        str,
        as_json=as_json,
    )


@app.command("cancel")
def cancel(
    service: ServiceArgument,
    queue: Queue,
    ids: Ids,
    yes: Yes = False,
    dry_run: DryRun = False,
    name: As = None,
    reason: Reason = None,
    urls: Urls = None,
    as_json: AsJson = False,
) -> None:
    """Give calls up. They are kept for some days, and `oms jobs retry` has them made after all.
    A call in progress is not interrupted, but it is not repeated if it fails.

    Calls that move money cannot be cancelled: `oms payments resolve` settles a payment.

    Example: `oms jobs cancel email email ORDER --reason "asked to by phone"`
    """
    admin = acting(urls, name, reason, dry_run)
    confirm(f"Give up {len(ids)} call(s) of {service}?", yes=yes, dry_run=dry_run)
    act_on_each(
        ids,
        lambda job: {**admin.act(service, "/admin/jobs/cancel", queue=queue, id=job), "outcome": "given up"},
        str,
        as_json=as_json,
    )


def _jobs(found: Sequence[Json]) -> RenderableType:
    rows = (
        (one["service"], one["queue"], one["id"], one["state"], str(one["failedCalls"]), one["lastError"] or "",
         show.moment(one["dueAt"] or one["deadAt"]))
        for one in found
    )  # fmt: skip
    headings = ("service", "queue", "id", "state", "failed calls", "last error", "due, or given up")
    return show.table(headings, rows) if found else Text("no jobs")
