"""`oms fail`: makes the simulators fail, to show how OMS handles it."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from oms_cli import show
from oms_cli.client import Client, Json
from oms_cli.options import As, Reason, Urls, acting, group, reading
from oms_cli.output import AsJson, out

app = group("Ask the payment simulator and the mail catcher to fail. docs/failures.md lists what they can do.")
PATH = "/admin/simulator/failures"


@app.command("list")
def list_failures(urls: Urls = None, as_json: AsJson = False) -> None:
    """List the failures that are on."""
    found = [*reading(urls).all("payment", PATH), *Client.of_environment().failures()]
    out(found, _failures, as_json=as_json)


@app.command("set")
def set_failure(
    target: Annotated[str, typer.Argument(help="gateway, mail or sms.")],
    kind: Annotated[str, typer.Argument(help="What goes wrong.")],
    to: Annotated[str | None, typer.Option(help="Only for this address or number.")] = None,
    times: Annotated[int | None, typer.Option(help="For so many calls; otherwise until cleared.", min=1)] = None,
    seconds: Annotated[float, typer.Option(help="How late a slow answer is, or how long to wait.", min=0)] = 3.0,
    name: As = None,
    reason: Reason = None,
    urls: Urls = None,
    as_json: AsJson = False,
) -> None:
    """Turn a failure on.

    Examples: `oms fail set gateway lost-answer --times 1`, `oms fail set mail 4xx --to ann@example.com`
    """
    new: dict[str, Any] = {"target": target, "kind": kind, "times": times, "seconds": seconds}
    new |= {"to": to} if to else {}
    if target == "gateway":
        found = acting(urls, name, reason).all("payment", PATH, "PUT", **new)
    else:
        found = Client.of_environment().fail(new)
    out(found, _failures, as_json=as_json)


@app.command("clear")
def clear(name: As = None, reason: Reason = None, urls: Urls = None, as_json: AsJson = False) -> None:
    """Turn all failures off."""
    try:
        found = acting(urls, name, reason).all("payment", PATH, "DELETE")
    finally:  # the mail catcher is another program, and is cleared even if the gateway could not be
        others = Client.of_environment().fail_no_more()
    out([*found, *others], _failures, as_json=as_json)


def _failures(found: Sequence[Json]) -> RenderableType:
    rows = (
        (one["target"], one["kind"], one["to"] or "everybody", str(one["times"] or "until cleared")) for one in found
    )
    return show.table(("target", "kind", "for", "times"), rows) if found else Text("nothing is asked to fail")
