"""The options that commands for operators share, and the admin APIs as these options describe them."""

from collections.abc import Sequence
from typing import Annotated

import typer

from oms_cli.admin import Acting, Admin

PANEL = "Repair, for operators"

Urls = Annotated[
    list[str] | None,
    typer.Option("--url", metavar="SERVICE=URL", help="Where a service's admin API is; or OMS_ADMIN_URL_<SERVICE>."),
]
As = Annotated[str | None, typer.Option("--as", metavar="NAME", help="Who acts, if not the user of this machine.")]
Reason = Annotated[str | None, typer.Option("--reason", "-r", help="Why, for the audit log. Name no customer.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would happen, and change nothing.")]
Limit = Annotated[int, typer.Option("--limit", help="How many at most.", min=1)]


def group(about: str) -> typer.Typer:
    """A group of commands."""
    return typer.Typer(help=about, no_args_is_help=True)


def reading(urls: Sequence[str] | None, name: str | None = None) -> Admin:
    """The admin APIs, to look."""
    return Admin.of_environment(Acting(name), urls or ())


def acting(urls: Sequence[str] | None, name: str | None, reason: str | None, dry_run: bool = False) -> Admin:
    """The admin APIs, to act."""
    return Admin.of_environment(Acting(name, reason, dry_run), urls or ())
