"""The `oms` command line."""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType

from oms_cli import sample, show
from oms_cli.client import Client
from oms_platform.addresses import Addresses
from oms_platform.running import Running, home
from oms_servers.errors import LocalError

app = typer.Typer(
    help="OMS on this machine: five services, five databases and Kafka.",
    no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False,
)  # fmt: skip
orders = typer.Typer(help="Place orders and see how they go.", no_args_is_help=True)
app.add_typer(orders, name="order")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Sample = Annotated[bool, typer.Option("--sample/--no-sample", help="Place the sample order when all is ready.")]
OrderId = Annotated[str, typer.Argument(help="An order's id.")]


def main() -> None:
    """Run the command line; failures that a reader can mend are told in a sentence, with exit code 1."""
    try:
        app()
    except LocalError as error:
        show.failure(Console(stderr=True), error)
        sys.exit(1)


@app.command()
def up(
    sample_order: Sample = True,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when all is ready, and leave it up.")] = False,
) -> None:
    """Start everything, place the sample order and show how it goes; stay up until Ctrl-C."""
    from oms_cli.up import Up, detached  # here: what it drags in would make every other command slow

    console = _console()
    place = partial(_place_sample, console) if sample_order else _place_nothing
    if detach:
        detached(home(), console)
        place()
    else:
        Up(home(), console).run(place)


@app.command()
def down() -> None:
    """Stop what `oms up` started, wherever it runs."""
    Running(home()).end()
    _console().print("stopped")


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show what runs, and whether it is ready."""
    parts = [(part, part.state()) for part in Running(home()).parts()]
    known = [{"name": p.name, "state": state, "pid": p.pid, "port": p.port, "log": p.log} for p, state in parts]
    _tell(known, lambda _: show.states((p.name, state, f"127.0.0.1:{p.port}") for p, state in parts), as_json=as_json)
    if any(state == "dead" for _, state in parts):
        raise typer.Exit(1)


@app.command()
def logs(
    service: Annotated[str, typer.Argument(help="A name that `oms status` shows.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is written from now on.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many lines to begin with.")] = 50,
) -> None:
    """Show a program's log."""
    log = home() / "logs" / f"{service}.log"
    if not log.exists():
        known = sorted(file.stem for file in log.parent.glob("*.log"))
        raise LocalError(f"There is no log of {service}", f"There are: {', '.join(known) or 'none yet'}")
    try:
        subprocess.run(["tail", "-n", str(lines), *(["-F"] if follow else []), str(log)], check=False)
    except KeyboardInterrupt:
        return


@app.command()
def items(as_json: AsJson = False) -> None:
    """Show what can be ordered, and how much of it is left."""
    _tell(Client.of_environment().items(), show.items, as_json=as_json)


@app.command()
def messages(
    order: Annotated[str | None, typer.Option(help="Only those about this order.")] = None,
    kind: Annotated[str | None, typer.Option(help="email or sms.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the emails and texts that customers were sent."""
    _tell(Client.of_environment().messages(order, kind), show.messages, as_json=as_json)


@app.command()
def reset(yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False) -> None:
    """Remove all data and logs. Downloads stay."""
    from oms_platform.platform import Platform  # the same

    folder = home()
    if Running(folder).is_up():
        raise LocalError("OMS is up", "`oms down` first")
    if not yes:
        typer.confirm(f"Remove all data in {folder}?", abort=True)
    Platform(folder, Addresses.local()).remove()
    _console().print("removed")


@orders.command("place")
def place(
    item: Annotated[str, typer.Option(help="The id of an item.")] = "Item1",
    quantity: Annotated[int, typer.Option(help="How many of it.")] = 2,
    card: Annotated[str, typer.Option(help="A test card's number; 4000000000000002 is declined.")] = "1234",
    key: Annotated[str | None, typer.Option(help="An Idempotency-Key: repeating it repeats no order.")] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show how it goes.")] = False,
    as_json: AsJson = False,
) -> None:
    """Place an order like the sample one."""
    client = Client.of_environment()
    placed = client.place(sample.order(item, quantity, card), key)
    if watch:
        _follow(client, placed["id"], as_json=as_json)
    else:
        _tell(placed, lambda one: f"order {one['id']}: {one['status']}", as_json=as_json)


@orders.command("list")
def list_orders(
    status: Annotated[str | None, typer.Option(help="Only those with this status.")] = None,
    email: Annotated[str | None, typer.Option(help="Only this customer's.")] = None,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=100)] = 20,
    as_json: AsJson = False,
) -> None:
    """List orders, newest first."""
    found = Client.of_environment().orders(status=status, email=email, limit=limit)
    _tell(found, show.orders, as_json=as_json)


@orders.command("show")
def show_order(order: OrderId, as_json: AsJson = False) -> None:
    """Show an order with its lines and its timeline."""
    _tell(Client.of_environment().shown(order), show.order, as_json=as_json)


@orders.command("watch")
def watch_order(order: OrderId, as_json: AsJson = False) -> None:
    """Show an order's timeline as it happens, up to its end."""
    _follow(Client.of_environment(), order, as_json=as_json)


def _follow(client: Client, order: str, *, as_json: bool) -> None:
    console, first = _console(), None
    for step in client.events(order):
        first = first or step
        _tell(step, partial(show.step, first=first), as_json=as_json, console=console)


def _place_nothing() -> None:
    pass


def _place_sample(console: Console) -> None:
    client = Client.of_environment()
    console.print(f"\n[bold]the sample order[/]: POST {client.order}/order")
    placed = client.place_patiently(sample.ORDER)
    console.print(f"  [dim]GET {client.order}/order/{placed['id']}[/]")
    _follow(client, placed["id"], as_json=False)
    console.print(show.messages(client.await_messages(placed["id"])))


def _tell(
    known: Any, render: Callable[[Any], RenderableType], *, as_json: bool, console: Console | None = None
) -> None:
    if as_json:
        sys.stdout.write(json.dumps(known) + "\n")
        sys.stdout.flush()
    else:
        (console or _console()).print(render(known))


def _console() -> Console:
    # Output that goes into a file or a pipe is not broken into lines as wide as some terminal.
    return Console() if sys.stdout.isatty() else Console(width=200, highlight=False)
