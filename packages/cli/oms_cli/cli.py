"""The `oms` command line."""

import inspect
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from io import TextIOWrapper
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from oms_cli import (
    answers,
    audit,
    customers,
    deadletters,
    doctor,
    fail,
    inventory,
    jobs,
    keys,
    machine,
    orders,
    outbox,
    payments,
    show,
)
from oms_cli.options import PANEL
from oms_servers.errors import LocalError, reporting_full_disk

# The errors for a field that is missing in an answer, or has another type than expected.
_MISREAD = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
app = typer.Typer(
    help="OMS, an order management system of five services: use one, or run a whole one on this machine.\n\n"
    "Orders, items and messages are those of `oms up`, or of the OMS at the addresses in OMS_URL (order service), "
    "OMS_INVENTORY_URL and OMS_MAILCATCHER_URL.",
    no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False,
)  # fmt: skip
app.add_typer(machine.app)
app.add_typer(orders.app)
app.add_typer(inventory.app, name="inventory", rich_help_panel=orders.PANEL)
app.add_typer(doctor.app)
app.add_typer(fail.app, name="fail", rich_help_panel=machine.PLAY)
for name, commands in {
    "deadletters": deadletters.app,
    "payments": payments.app,
    "jobs": jobs.app,
    "outbox": outbox.app,
    "keys": keys.app,
    "customers": customers.app,
    "audit": audit.app,
}.items():
    app.add_typer(commands, name=name, rich_help_panel=PANEL)


def _show_release(asked: bool) -> None:
    if asked:
        typer.echo(version("oms-cli"))
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_release, help="Show the release of this `oms`.")
    ] = False,
) -> None:
    """Options of the command line as a whole."""


def main() -> None:
    """Run the command line. An error that its user can fix is explained in a sentence, with exit code 1."""
    _forget_other_databases()
    if isinstance(sys.stdout, TextIOWrapper):  # a letter that the terminal cannot show does not hide the others
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        _check_encoding(sys.argv[1:])
        _reflow(app)
        with reporting_full_disk("what was to be printed"):
            app()
    except LocalError as error:
        _end(error)
    except _MISREAD as error:
        if (found := answers.other_form(error)) is None:
            raise
        _end(found)


def _reflow(commands: typer.Typer) -> None:
    """Have help texts wrapped where the terminal's lines end, not where the source's do."""
    for command in commands.registered_commands:
        paragraphs = (inspect.getdoc(command.callback) or "").split("\n\n")
        command.help = "\n\n".join(paragraph.replace("\n", " ") for paragraph in paragraphs)
    for group in commands.registered_groups:
        if group.typer_instance is not None:
            _reflow(group.typer_instance)


def _check_encoding(arguments: Sequence[str]) -> None:
    """Raise LocalError for arguments that cannot be sent: Python keeps invalid bytes as halves of characters."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise LocalError(
                f"{argument!a} is not UTF-8",
                "Set the terminal to UTF-8, or LC_ALL to a locale of the terminal's encoding",
            ) from None


def _forget_other_databases() -> None:
    """Remove libpq's variables from the environment, such as PGSSLMODE and PGSERVICE: they are meant for other
    databases, and with them those of this machine would not answer."""
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]


def _end(error: LocalError) -> NoReturn:
    show.failure(Console(stderr=True), error)
    sys.exit(1)
