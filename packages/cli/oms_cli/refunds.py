"""Refunds that are requested on the command line."""

from collections.abc import Sequence
from typing import Any

from rich.text import Text

from oms_cli.client import Json
from oms_servers.errors import LocalError


def body(lines: Sequence[str], amount: int | None, *, restock: bool, reason: str | None) -> Json:
    """Return the request's body. Raises LocalError unless it is for lines or for an amount."""
    if bool(lines) == (amount is not None):
        raise LocalError("A refund is for lines or for an amount", "Say --line Item1=1, or --amount 250")
    if restock and not lines:
        raise LocalError("An amount puts nothing into the stock", "Say --restock with --line")
    asked: dict[str, Any] = {"amount": amount} if not lines else {"lines": [_line(one) for one in lines]}
    if lines:
        asked["restock"] = restock
    return {**asked, "reason": reason} if reason else asked


def shown(refund: Json) -> Text:
    """Return a refund as a line of text."""
    return Text(f"refund {refund['id']}: {refund['status']}, {refund['amount']} in minor units")


def _line(text: str) -> Json:
    item, _, quantity = text.rpartition("=")
    if not item or not quantity.isdecimal():
        raise LocalError("A line is an item and how much of it", "For example: --line Item1=1")
    return {"id": item, "quantity": int(quantity)}
