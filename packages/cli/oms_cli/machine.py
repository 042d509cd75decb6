"""Commands for all of OMS on this machine: start it, look at it, break it, stop it."""

import os
import signal
from functools import partial
from typing import Annotated

import typer
from rich.console import Console

from oms_cli import sample, show
from oms_cli.client import Client
from oms_cli.output import AsJson, follow, out, terminal
from oms_platform.addresses import Addresses
from oms_platform.control import ask
from oms_platform.running import Running, home
from oms_servers.errors import LocalError

START_SECONDS = 90.0  # for one program to answer again
PANEL, PLAY = "OMS on this machine", "A place to play: while `oms up` runs"

Sample = Annotated[bool, typer.Option("--sample/--no-sample", help="Place the sample order when all is ready.")]
Restart = Annotated[
    bool, typer.Option("--restart/--no-restart", help="Start programs that die again, after a growing pause.")
]
Auth = Annotated[
    str, typer.Option(envvar="OMS_AUTH", help="How callers are authenticated: none, api-key, jwt, or api-key,jwt.")
]
Long = Annotated[bool, typer.Option("--long", help="Kill payment in the middle of a charge, too: half a minute more.")]
Program = Annotated[str, typer.Argument(metavar="SERVICE", help="A service, or another name that `oms status` shows.")]

app = typer.Typer()


@app.command(rich_help_panel=PANEL)
def up(
    sample_order: Sample = True,
    restart: Restart = True,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when all is ready, and leave it up.")] = False,
    auth: Auth = "none",
) -> None:
    """Start everything, place the sample order and show how it goes; stay up until Ctrl-C.

    Programs that die are started again, as in Kubernetes: at first after a second, then after longer pauses.
    """
    from oms_cli.up import Up, detached  # imported here, because its imports would slow down every other command

    console = terminal()
    place = partial(_place_sample, console) if sample_order else _place_nothing
    if auth != "none":
        place = partial(_say_how_to_call, console)
    if detach:
        detached(home(), console, restart=restart, auth=auth)
        place()
    else:
        Up(home(), console, restart=restart, auth=auth).run(place)


@app.command(rich_help_panel=PANEL)
def down() -> None:
    """Stop what `oms up` started, in whichever terminal it runs."""
    Running(home()).end()
    terminal().print("stopped")


@app.command(rich_help_panel=PANEL)
def status(as_json: AsJson = False) -> None:
    """Show what runs, and whether it is ready. The exit code is 1 if something is dead."""
    parts = [(part, part.state()) for part in Running(home()).parts()]
    known = [{"name": p.name, "state": state, "pid": p.pid, "port": p.port, "log": p.log} for p, state in parts]
    out(known, lambda _: show.states((p.name, state, f"127.0.0.1:{p.port}") for p, state in parts), as_json=as_json)
    if any(state == "dead" for _, state in parts):
        raise typer.Exit(1)


@app.command(rich_help_panel=PANEL)
def logs(
    service: Program,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Also show new lines as they are written.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many lines to begin with.", min=0)] = 50,
) -> None:
    """Show a program's log."""
    log = home() / "logs" / f"{service}.log"
    if not log.exists():
        known = sorted(file.stem for file in log.parent.glob("*.log"))
        raise LocalError(f"There is no log of {service}", f"There are: {', '.join(known) or 'none yet'}")
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and `tail` would inherit that
    os.execvp("tail", ["tail", "-n", str(lines), *(["-F"] if follow else []), str(log)])  # noqa: S606 - no shell is wanted


@app.command(rich_help_panel=PANEL)
def reset(yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False) -> None:
    """Remove all data and logs of OMS. Downloads and other files in its folder stay."""
    from oms_platform.platform import Platform  # the same

    folder = home()
    if Running(folder).is_up():
        raise LocalError("OMS is up", "`oms down` first")
    if not yes:
        typer.confirm(f"Remove all data of OMS in {folder}?", abort=True)
    kept = Platform(folder, Addresses.local()).remove()
    terminal().print("removed")
    if kept:
        names = ", ".join(str(one.relative_to(folder)) for one in kept)
        terminal().print(f"kept in {folder}, as OMS has not made it: {names}", markup=False, soft_wrap=True)


@app.command(rich_help_panel=PLAY)
def demo(long: Long = False) -> None:
    """Watch orders in trouble: a killed service, a declined card, the last piece sold twice, a cancellation, a gateway
    that dies after charging, a mail that is given up, a refund, a dead letter.

    Takes less than a minute. The exit code is 1 if something did not end as promised; the last lines say what.
    """
    from oms_cli import demo  # the same

    demo.run(home(), terminal(), long=long)


@app.command(rich_help_panel=PLAY)
def kill(service: Program) -> None:
    """Kill a service with SIGKILL, as a crash would. `oms up` starts it again, unless it runs with --no-restart."""
    terminal().print(ask(home(), "kill", service))


@app.command(rich_help_panel=PLAY)
def stop(service: Program) -> None:
    """Stop a service with SIGTERM: it finishes what it has begun. It stays stopped until `oms start`."""
    terminal().print(ask(home(), "stop", service))


@app.command(rich_help_panel=PLAY)
def start(service: Program) -> None:
    """Start a service that was stopped or has died, and wait until it is ready."""
    _and_wait("start", service)


@app.command(rich_help_panel=PLAY)
def restart(service: Program) -> None:
    """Stop and start a service, and wait until it is ready."""
    _and_wait("restart", service)


def _and_wait(action: str, service: str) -> None:
    console = terminal()
    console.print(ask(home(), action, service))
    Running(home()).await_ready(service, START_SECONDS)
    console.print(f"{service} is ready")


def _place_nothing() -> None:
    pass


def _say_how_to_call(console: Console) -> None:
    console.print(
        "\nCallers are asked who they are, so there is no sample order. Make a key, which other commands can use:\n"
        "  oms keys create --owner me --scope orders:place --scope orders:read --scope orders:act\n"
        "  export OMS_CREDENTIAL=oms_...    # or: curl -H 'Authorization: Bearer oms_...'",
        highlight=False,
        markup=False,
    )


def _place_sample(console: Console) -> None:
    client = Client.of_running(home())
    console.print(f"\n[bold]the sample order[/]: POST {client.order}/order")
    placed = client.place_patiently(sample.ORDER)
    console.print(f"  [dim]GET {client.order}/order/{placed['id']}[/]")
    follow(client.events(placed["id"]), as_json=False, console=console)
    console.print(show.messages(client.await_messages(placed["id"])))
