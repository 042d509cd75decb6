"""`oms payments`: payments that are open or have an open refund, and settling them."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from oms_cli import show
from oms_cli.admin import Admin
from oms_cli.client import Json
from oms_cli.options import As, DryRun, Limit, Reason, Urls, acting, group, reading
from oms_cli.output import AsJson, out
from oms_cli.paths import part
from oms_cli.portions import said
from oms_notifications.money import amount
from oms_servers.errors import LocalError

app = group("Settle payments that an outage left open, or that were refunded in another way.")
OrderId = Annotated[str, typer.Argument(metavar="ORDER", help="The order's id.")]
RefundId = Annotated[
    str | None, typer.Option("--refund", metavar="ID", help="Which refund of the order, if more than one is open.")
]


@app.command("list")
def list_payments(
    state: Annotated[str, typer.Option(help="open, PENDING, COMPLETED, FAILED, REFUNDING or REFUNDED.")] = "open",
    reason: Annotated[str | None, typer.Option(help="Only those that failed for this reason.")] = None,
    limit: Limit = 50,
    urls: Urls = None,
    as_json: AsJson = False,
) -> None:
    """List payments; by default, those whose outcome is open, or with a refund that is pending or has failed.

    Example: `oms payments list --state REFUNDING`
    """
    found = reading(urls).pages("payment", "/admin/payments", limit, state=state, reason=reason)
    out(said(found), _payments, as_json=as_json)


@app.command("show")
def show_payment(order: OrderId, urls: Urls = None) -> None:
    """Show a payment and the calls that are still to be made for it, as JSON."""
    out(reading(urls).get("payment", f"/admin/payments/{part(order)}"), str, as_json=True)


@app.command("resolve")
def resolve(
    order: OrderId,
    close: Annotated[
        bool,
        typer.Option("--close", help="Have the gateway report the outcome of the charge, and never make it later."),
    ] = False,
    refunded: Annotated[
        str | None,
        typer.Option("--refunded", metavar="REFERENCE", help="The money went back in another way than by the gateway."),
    ] = None,
    refund: RefundId = None,
    dry_run: DryRun = False,
    name: As = None,
    reason: Reason = None,
    urls: Urls = None,
    as_json: AsJson = False,
) -> None:
    """Settle an open payment, or an open refund of a confirmed order: by default, the gateway is asked at once. If the
    refund has succeeded already, that is published again (for a cancelled order, if it had failed before).

    Examples: `oms payments resolve ORDER`, `oms payments resolve ORDER --close`,
    `oms payments resolve ORDER --refunded "bank transfer 17"`
    """
    if close and refunded is not None:
        raise LocalError("--close and --refunded exclude each other", "A refund is noted when the charge is known")
    how = (
        {"how": "was-refunded", "reference": refunded} if refunded is not None else {"how": "close" if close else "ask"}
    )
    _resolve(acting(urls, name, reason, dry_run), order, refund, as_json, **how)


@app.command("retry-refund")
def retry_refund(
    order: OrderId,
    refund: RefundId = None,
    dry_run: DryRun = False,
    name: As = None,
    reason: Reason = None,
    urls: Urls = None,
    as_json: AsJson = False,
) -> None:
    """Have the gateway retry a failed refund: of the whole amount of a cancelled order, or of a confirmed order.

    It gets a new key only if the gateway says that the last one has failed, and it never exceeds what was paid.

    Example: `oms payments retry-refund ORDER --reason "the account has balance again"`
    """
    _resolve(acting(urls, name, reason, dry_run), order, refund, as_json, how="again")


def _resolve(admin: Admin, order: str, refund: str | None, as_json: bool, **how: str) -> None:
    which = {"refund": refund} if refund is not None else {}
    out(admin.act("payment", f"/admin/payments/{part(order)}/resolve", **how, **which), _payment, as_json=as_json)


def _payment(one: Json) -> Text:
    lines = [f"payment of {one['orderId']}: {one['state']}" + (f", {one['reason']}" if one["reason"] else "")]
    for refund in one["refunds"]:
        why = f", {refund['reason']}" if refund["reason"] else ""
        lines.append(f"refund {refund['refundId']}: {refund['state']}{why}")
    return Text("\n".join(lines))


def _payments(found: Sequence[Json]) -> RenderableType:
    rows = (row for one in found for row in _rows(one))
    headings = ("order", "state", "amount", "reason", "since")
    return show.table(headings, rows) if found else Text("no payments like that")


def _rows(one: Json) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield a payment, and below it its open refunds."""
    yield _row(one["orderId"], one["state"], one, one["currency"])
    for refund in one["refunds"]:
        if refund["state"] != "SUCCEEDED":
            yield _row(f"  refund {refund['refundId']}", refund["state"], refund, one["currency"])


def _row(what: str, state: str, one: Json, currency: str) -> tuple[str, str, str, str, str]:
    return what, state, amount(one["amount"], currency), one["reason"] or "", show.moment(one["updatedAt"])
