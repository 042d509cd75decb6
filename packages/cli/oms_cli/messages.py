"""`oms messages`: messages to customers, and sending those that were given up."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from oms_cli import show
from oms_cli.admin import Admin
from oms_cli.answers import Refused
from oms_cli.batches import Rate, act_on_each
from oms_cli.client import Client, Json
from oms_cli.options import As, DryRun, Limit, Reason, Urls, acting, reading
from oms_cli.output import AsJson, out
from oms_cli.paths import part
from oms_cli.portions import Portion, said
from oms_servers.errors import LocalError

CHANNELS = ("email", "sms")
app = typer.Typer()
Channel = Annotated[str | None, typer.Option("--channel", help="Only email, or only sms.")]


@app.callback(invoke_without_command=True)
def messages(
    context: typer.Context,
    order: Annotated[str | None, typer.Option(help="Only those about this order.")] = None,
    kind: Annotated[str | None, typer.Option(help="email or sms.")] = None,
    limit: Annotated[int, typer.Option(help="How many at most: the newest.", min=1, max=100_000)] = 100,
    as_json: AsJson = False,
) -> None:
    """Show the emails and texts in the mail catcher; list messages that were given up, and send them after all."""
    if context.invoked_subcommand is None:
        out(said(Client.of_environment().messages(order, kind, limit)), show.messages, as_json=as_json)


@app.command("list")
def list_messages(
    channel: Channel = None,
    state: Annotated[str, typer.Option(help="failed (given up), unknown, pending or sent.")] = "failed",
    limit: Limit = 50,
    urls: Urls = None,
    as_json: AsJson = False,
) -> None:
    """List messages, the oldest first; by default, those that were given up.

    Example: `oms messages list --channel email`
    """
    admin = reading(urls)
    found = admin.pages_of(_channels(channel), "/admin/messages", limit, "createdAt", "channel", state=state)
    out(said(found), _messages, as_json=as_json)


@app.command("show")
def show_message(
    channel: Annotated[str, typer.Argument(help="email or sms.")],
    order: Annotated[str, typer.Argument(metavar="ORDER", help="The order's id, or a refund's.")],
    urls: Urls = None,
) -> None:
    """Show the state of a message, as JSON. Its text and address are not shown."""
    out(reading(urls).get(_channels(channel)[0], f"/admin/messages/{part(order)}"), str, as_json=True)


@app.command("resend")
def resend(
    orders: Annotated[list[str] | None, typer.Argument(metavar="ORDER", help="Ids of orders, or of refunds.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that were given up, --limit of them at most.")] = False,
    channel: Channel = None,
    limit: Limit = 100,
    rate: Rate = 20.0,
    dry_run: DryRun = False,
    name: As = None,
    reason: Reason = None,
    urls: Urls = None,
    as_json: AsJson = False,
) -> None:
    """Send messages that were given up.

    Examples: `oms messages resend ORDER --channel email`, `oms messages resend --all --rate 5`
    """
    if bool(orders) == everything:
        raise LocalError("Which messages?", "Name orders, or say --all")
    admin = acting(urls, name, reason, dry_run)
    given_up = (
        [one for order in orders for one in _given_up(admin, _channels(channel), order)]
        if orders
        else [(str(one["channel"]), about(one)) for one in said(_all_given_up(admin, _channels(channel), limit))]
    )
    act_on_each(
        given_up,
        lambda one: {**admin.act(one[0], f"/admin/messages/{part(one[1])}/resend"), "channel": one[0]},
        lambda one: f"{one[0]} {one[1]}",
        rate=rate,
        as_json=as_json,
    )


def _all_given_up(admin: Admin, channels: Sequence[str], limit: int) -> Portion:
    return admin.pages_of(channels, "/admin/messages", limit, "createdAt", "channel", state="failed")


def _given_up(admin: Admin, channels: Sequence[str], order: str) -> list[tuple[str, str]]:
    """Return the order's messages that were given up, or its first message if none was, so that it is refused."""
    states = {by: _state(admin, by, order) for by in channels}
    failed = [by for by in channels if states[by] == "failed"]
    there = [by for by in channels if states[by] is not None]
    return [(by, order) for by in failed or [*there, *channels][:1]]


def _state(admin: Admin, channel: str, order: str) -> str | None:
    """Return the state of a message; None if there is none, or cannot be one."""
    try:
        return str(admin.get(channel, f"/admin/messages/{part(order)}")["state"])
    except Refused as refused:
        if refused.status not in (404, 422):
            raise
        return None


def about(message: Json) -> str:
    """Return the id of the refund or the order that a message is about."""
    return str(message.get("refundId") or message["orderId"])


def _channels(channel: str | None) -> Sequence[str]:
    if channel is not None and channel not in CHANNELS:
        raise LocalError(f"There are messages by {' and '.join(CHANNELS)} only")
    return [channel] if channel else CHANNELS


def _messages(found: Sequence[Json]) -> RenderableType:
    rows = (
        (one["channel"], about(one), one["kind"], one["state"], one["reason"] or "", show.moment(one["createdAt"]))
        for one in found
    )
    headings = ("channel", "order, or refund", "kind", "state", "reason", "since")
    return show.table(headings, rows) if found else Text("no messages like that")
