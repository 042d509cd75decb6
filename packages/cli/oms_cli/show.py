"""Shows results to people: with colours and tables on a terminal, as plain text elsewhere."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from oms_cli.client import Json
from oms_notifications.money import amount
from oms_servers.errors import LocalError

STYLES = {
    "ready": "green", "starting": "yellow", "waiting": "dim", "dead": "bold red",
    "CONFIRMED": "bold green", "PAID": "cyan", "PENDING": "yellow", "CANCELLING": "yellow", "CANCELLED": "bold red",
}  # fmt: skip
IN_MILLISECONDS = 100.0  # seconds of a timeline that are shown with milliseconds
WIDEST = 100  # characters of a word that is not broken: no id is longer, and customers write what they like
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def harmless(found: Any) -> Any:
    """Return a result with its control characters written out: a terminal would obey whoever has sent them."""
    if isinstance(found, str):
        return _CONTROL.sub(lambda character: f"\\x{ord(character[0]):02x}", found)
    if isinstance(found, dict):
        return {name: harmless(value) for name, value in found.items()}
    return [harmless(one) for one in found] if isinstance(found, list) else found


def styled(word: str) -> Text:
    """Return a state or status in its colour."""
    return Text(word, STYLES.get(word, ""))


def table(headings: Sequence[str], rows: Iterable[Sequence[RenderableType]]) -> Table:
    """Return a table without frames. Texts are shown literally, because anybody may have written them, and their words
    are not broken, even if the terminal is narrower: people copy ids into other commands."""
    made = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 3, 0, 0))
    cells = [[Text(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    for place, heading in enumerate(headings):
        made.add_column(heading, overflow="fold", min_width=_longest_word(row[place] for row in cells))
    for row in cells:
        made.add_row(*row)
    return made


def _longest_word(texts: Iterable[RenderableType]) -> int:
    return min(max((cell_len(word) for text in texts for word in str(text).split()), default=0), WIDEST)


def clock(instant: str) -> str:
    """Return the time of day of an ISO 8601 instant, in this machine's zone."""
    return datetime.fromisoformat(instant).astimezone().strftime("%H:%M:%S.%f")[:-3]


def moment(instant: str) -> str:
    """Return an ISO 8601 instant in this machine's zone."""
    return datetime.fromisoformat(instant).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def states(parts: Iterable[tuple[str, str, str]]) -> Table:
    """Return a table with the name, state and address of each program."""
    return table(("what", "state", "where"), ((name, styled(state), where) for name, state, where in parts))


def orders(found: Sequence[Json]) -> RenderableType:
    rows = (
        (one["id"], styled(one["status"]), one.get("reason") or "", amount(one["total"], one["currency"]),
         one["customer"]["name"], moment(one["placedAt"]))
        for one in found
    )  # fmt: skip
    return (
        table(("order", "status", "reason", "total", "customer", "placed"), rows)
        if found
        else Text("no orders like that")
    )


def order(one: Json) -> RenderableType:
    lines = ((str(line["quantity"]), line["name"], amount(line["unitPrice"], one["currency"])) for line in one["lines"])
    head = Text.assemble("order ", (one["id"], "bold"), "  ", styled(one["status"]))
    placed = f"for {one['customer']['name']}, placed {moment(one['placedAt'])}"
    total = Text(f"total {amount(one['total'], one['currency'])}, {placed}")
    refunded = [Text(f"refunded {amount(one['refunded'], one['currency'])}")] if "refunded" in one else []
    return Group(head, table(("", "item", "each"), lines), total, *refunded, timeline(one["timeline"]))


def timeline(steps: Sequence[Json]) -> RenderableType:
    first = datetime.fromisoformat(steps[0]["at"]) if steps else None
    return table(("time", "", "status", ""), (_step(one, first) for one in steps))


def step(one: Json, first: Json) -> RenderableType:
    """Return one line of a timeline as it happens."""
    when, since, status, reason = _step(one, datetime.fromisoformat(first["at"]))
    return Text.assemble("  ", when, f"  {since:>9}  ", status, f"  {reason}")


def _step(one: Json, first: datetime | None) -> tuple[str, str, Text, str]:
    at = datetime.fromisoformat(one["at"])
    begun = first or at
    when = clock if at.astimezone().date() == begun.astimezone().date() else moment
    since = (at - begun).total_seconds()
    passed = f"+{since * 1000:.0f} ms" if since < IN_MILLISECONDS else f"+{since:.0f} s"
    refund = f"refund {one['refundStatus']}" if "refundStatus" in one else None
    dispute = f"disputed, {one['disputed']} in minor units: {one['disputeId']}" if "disputeId" in one else None
    why = ": ".join(filter(None, (one.get("reason"), refund, dispute, one.get("note"))))
    return when(one["at"]), passed, styled(one["status"]), why


def items(found: Sequence[Json]) -> RenderableType:
    rows = (
        (one["id"], one["name"], amount(one["unitPrice"], one.get("currency", "")), str(one["onHand"])) for one in found
    )
    return table(("item", "name", "price", "on hand"), rows)


def messages(found: Sequence[Json]) -> RenderableType:
    if not found:
        return Text("no messages yet")
    return Group(*(_message(one) for one in found))


def _message(one: Json) -> Panel:
    kind = {"email": "Email", "sms": "SMS"}.get(one["kind"], one["kind"])
    title = f"{kind} to {one['to']}" + (f": {one['subject']}" if one.get("subject") else "")
    return Panel(Text(one["text"].strip()), title=Text(title), title_align="left", border_style="dim", width=100)


def failure(console: Console, error: LocalError) -> None:
    """Print what went wrong, and what to do about it."""
    console.print(Text(harmless(error.message), "bold red"), soft_wrap=True)
    if error.advice:
        console.print(Text(harmless(error.advice)), soft_wrap=True)
