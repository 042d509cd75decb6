"""Commands for orders and items, over HTTP, of the OMS that the environment names."""

from typing import Annotated

import typer

from oms_cli import messages, refunds, sample, show
from oms_cli.client import Client
from oms_cli.options import Limit
from oms_cli.output import AsJson, follow, out
from oms_cli.portions import said

PANEL = "Orders, of any OMS"
OrderId = Annotated[str, typer.Argument(help="An order's id.")]

app = typer.Typer()
order = typer.Typer(help="Place, follow, cancel and refund orders.", no_args_is_help=True)
app.add_typer(order, name="order", rich_help_panel=PANEL)
app.add_typer(messages.app, name="messages", rich_help_panel=PANEL)


@app.command(rich_help_panel=PANEL)
def items(as_json: AsJson = False) -> None:
    """Show the items, and how many of each are left."""
    out(Client.of_environment().items(), show.items, as_json=as_json)


@order.command("place")
def place(
    item: Annotated[str, typer.Option(help="The id of an item.")] = "Item1",
    quantity: Annotated[int, typer.Option(help="How many of it.")] = 2,
    card: Annotated[str, typer.Option(help="A test card's number; 4000000000000002 is declined.")] = "1234",
    key: Annotated[
        str | None, typer.Option(help="An Idempotency-Key: with the same key, the order is placed once.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show how it goes.")] = False,
    as_json: AsJson = False,
) -> None:
    """Place an order like the sample one."""
    client = Client.of_environment()
    placed = client.place(sample.order(item, quantity, card), key)
    if watch:
        follow(client.events(placed["id"]), as_json=as_json)
    else:
        out(placed, lambda one: f"order {one['id']}: {one['status']}", as_json=as_json)


@order.command("list")
def list_orders(
    status: Annotated[str | None, typer.Option(help="Only those with this status.")] = None,
    email: Annotated[str | None, typer.Option(help="Only this customer's.")] = None,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """List orders, newest first."""
    found = Client.of_environment().orders(status=status, email=email, limit=limit)
    out(said(found), show.orders, as_json=as_json)


@order.command("show")
def show_order(order: OrderId, as_json: AsJson = False) -> None:
    """Show an order with its lines and its timeline."""
    out(Client.of_environment().shown(order), show.order, as_json=as_json)


@order.command("cancel")
def cancel_order(
    order: OrderId,
    reason: Annotated[str | None, typer.Option(help="Why, in the customer's words.")] = None,
    key: Annotated[
        str | None, typer.Option(help="An Idempotency-Key: with the same key, you get the same answer.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show how it goes.")] = False,
    as_json: AsJson = False,
) -> None:
    """Cancel an order, unless it is too late: its money and its stock are given back."""
    client = Client.of_environment()
    cancelled = client.cancel(order, reason, key)
    if watch:
        follow(client.events(order), as_json=as_json)
    else:
        out(cancelled, show.order, as_json=as_json)


@order.command("refund")
def refund_order(
    order: OrderId,
    line: Annotated[
        list[str] | None, typer.Option(help="An item of the order, and how much of it: Item1=1. May be repeated.")
    ] = None,
    amount: Annotated[int | None, typer.Option(help="Instead of lines: minor units, such as cents.", min=1)] = None,
    restock: Annotated[
        bool, typer.Option("--restock", help="The lines were returned: put them back into the stock.")
    ] = False,
    reason: Annotated[str | None, typer.Option(help="Why; the order's timeline shows it.")] = None,
    key: Annotated[str | None, typer.Option(help="An Idempotency-Key: with the same key, it is refunded once.")] = None,
    as_json: AsJson = False,
) -> None:
    """Refund a confirmed order, or a part of it: `oms order refund ID --line Item1=1 --restock`, or `--amount 250`.

    Repeating the command makes another refund, of what remains, because each has its own key unless one is given. If
    the answer is lost, the command says with which --key to repeat it.
    """
    body = refunds.body(line or (), amount, restock=restock, reason=reason)
    refund = Client.of_environment().refund(order, body, key)
    out(refund, refunds.shown, as_json=as_json)


@order.command("watch")
def watch_order(order: OrderId, as_json: AsJson = False) -> None:
    """Show an order's timeline as it happens. The exit code is 1 if the order has not ended within five minutes."""
    follow(Client.of_environment().events(order), as_json=as_json)
