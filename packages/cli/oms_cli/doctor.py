"""`oms doctor`: finds every stuck order and refund, and anything else that is held up, with the command that helps."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import product
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from oms_cli import diagnosis, leftovers, refund_diagnosis, show
from oms_cli.admin import Admin
from oms_cli.answers import Refused
from oms_cli.client import Json
from oms_cli.diagnosis import Facts, Finding
from oms_cli.lists import Lists
from oms_cli.messages import CHANNELS
from oms_cli.options import PANEL, Limit, Urls, reading
from oms_cli.output import AsJson, out
from oms_cli.unanswered import Unanswered
from oms_contracts.topics import SERVICES

AT_ONCE = 100  # orders or refunds in one question: it may have 200 subjects, and a refund's order is another one
HELD_UP = 3  # the exit code: 1 is that of an error
app = typer.Typer()


@app.command(rich_help_panel=PANEL)
def doctor(
    seconds: Annotated[
        float, typer.Option(help="Orders that have waited for so long are stuck.", min=0, max=10**9)
    ] = 300.0,
    limit: Limit = 200,
    urls: Urls = None,
    as_json: AsJson = False,
) -> None:
    """Find out why orders and refunds are stuck: at which step, since when, by what evidence, and which command helps.

    Dead letters and quarantined events that hold up none of them are listed by service. Nothing is changed. The exit
    code is 3 if something is held up.

    Example: `oms doctor --seconds 60`
    """
    found = list(findings(reading(urls), seconds, limit))
    out([asdict(finding) for finding in found], rendered, as_json=as_json)
    if found:
        raise typer.Exit(HELD_UP)


def findings(admin: Admin, seconds: float, limit: int) -> Iterator[Finding]:
    """Yield everything that is held up: services, then orders whose money did not go back, stuck orders, refunds,
    messages that were given up, and events that were set aside and are not part of a finding yet. A service that cannot
    answer is a finding, too, and does not hide the others."""
    conditions, named, lists = dict[str, Json](), leftovers.Named(), Lists(admin, limit)
    for service in SERVICES:
        try:
            conditions[service] = admin.get(service, "/admin/condition")
        except (Refused, Unanswered) as error:
            yield Finding(f"service {service}", "all", None, error.message, error.advice)
        else:
            yield from diagnosis.of_service(service, conditions[service])
    failed: list[Json] = []
    if "payment" in conditions:  # their orders may be CANCELLED already
        for reason in ("refund-failed", "failed-too-often"):
            failed += lists.of("payment", "/admin/payments", state="REFUNDING", reason=reason)
    yield from map(refund_diagnosis.of_compensation, failed)
    if "order" in conditions:
        known = {one["orderId"] for one in failed}
        stuck = lists.of("order", "/admin/orders/stuck", seconds=str(seconds))
        orders = [one for one in stuck if one["id"] not in known]
        yield from _explained(admin, conditions, named, orders, "id", diagnosis.of_order)
        refunds = lists.of("order", "/admin/refunds/held", seconds=str(seconds))
        yield from _explained(admin, conditions, named, refunds, "orderId", refund_diagnosis.of_refund)
    yield from _messages(lists, [channel for channel in CHANNELS if channel in conditions])
    yield from leftovers.findings(lists, conditions, named, limit)
    yield from lists.unread.values()


def _messages(lists: Lists, channels: Iterable[str]) -> Iterator[Finding]:
    for channel, state in product(channels, ("failed", "unknown")):
        for message in lists.of(channel, "/admin/messages", state=state):
            yield diagnosis.of_message(channel, message)


def _explained(
    admin: Admin,
    conditions: dict[str, Json],
    named: leftovers.Named,
    held: Sequence[Json],
    key: str,
    explain: Callable[[Json, Facts], Finding],
) -> Iterator[Finding]:
    """Yield why each of these waits, from what the services have about its order, whose id is in the field `key`."""
    asked = [service for service in diagnosis.FLOW if service in conditions]
    for start in range(0, len(held), AT_ONCE):
        some = held[start : start + AT_ONCE]
        subjects = list(dict.fromkeys(one[name] for one in some for name in (key, "id")))
        answers = {service: _evidence(admin, service, subjects) for service in asked}
        evidence = {service: answer for service, answer in answers.items() if answer is not None}
        for one in some:
            finding = explain(one, Facts(conditions, evidence))
            named.note(one[key], finding, evidence)
            yield finding


def _evidence(admin: Admin, service: str, subjects: Sequence[str]) -> Json | None:
    """Return what a service has about orders; None if it cannot answer, for example because its schema is wrong."""
    try:
        found: Json = admin.look(service, "/admin/evidence", subjects=subjects)
    except (Refused, Unanswered):
        return None
    return found


def rendered(found: Sequence[Json]) -> RenderableType:
    """Show each finding with the command that helps, on one line that can be copied, however wide the terminal is."""
    if not found:
        return Text("nothing is held up", "green")
    return Group(*(_finding(one) for one in found))


def _finding(one: Json) -> RenderableType:
    since = f", since {show.moment(one['since'])}" if one["since"] else ""
    return Text.assemble(
        (one["what"], "bold"),
        f" waits at {one['step']}{since}\n  ",
        one["evidence"],
        "\n  ",
        (one["command"], "cyan"),
        "\n",
        no_wrap=True,
        overflow="ignore",
    )
