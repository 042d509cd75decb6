"""The options that commands for operators share, and the admin APIs that these options choose."""

from collections.abc import Sequence
from typing import Annotated

import typer

from oms_cli.admin import Acting, Admin
from oms_contracts.topics import SERVICES
from oms_servers.errors import LocalError

PANEL = "Repair, for operators"

Urls = Annotated[
    list[str] | None,
    typer.Option("--url", metavar="SERVICE=URL", help="Where a service's admin API is; or OMS_ADMIN_URL_<SERVICE>."),
]
As = Annotated[str | None, typer.Option("--as", metavar="NAME", help="Who acts, if not the user of this machine.")]
Reason = Annotated[str | None, typer.Option("--reason", "-r", help="Why, for the audit log. Name no customer.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would happen, and change nothing.")]
OneService = Annotated[str | None, typer.Option("--service", help="Only this service's.")]
ServiceArgument = Annotated[str, typer.Argument(metavar="SERVICE", help="The service that owns it.")]
Limit = Annotated[int, typer.Option("--limit", help="How many at most.", min=1)]


def group(about: str) -> typer.Typer:
    """Return a group of commands."""
    return typer.Typer(help=about, no_args_is_help=True)


def reading(urls: Sequence[str] | None) -> Admin:
    """Return the admin APIs, for reading."""
    return Admin.of_environment(Acting(), urls or ())


def acting(urls: Sequence[str] | None, name: str | None, reason: str | None, dry_run: bool = False) -> Admin:
    """Return the admin APIs, for a command. A dry run says so, because its answers are those of the command."""
    if dry_run:
        typer.echo("a dry run: this is what would happen, and nothing is changed", err=True)
    return Admin.of_environment(Acting(name, reason, dry_run), urls or ())


def chosen(service: str | None) -> Sequence[str]:
    """Return the service that was named, or all services."""
    if service is not None and service not in SERVICES:
        raise LocalError(f"There is no service {service}", f"Services are: {', '.join(SERVICES)}")
    return [service] if service else SERVICES
