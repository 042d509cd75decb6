"""Texts that are put into paths of services."""

from urllib.parse import quote

from oms_servers.errors import LocalError


def part(text: str) -> str:
    """Return an id as a part of a path, escaped. Raises LocalError if it would lead to another path, or to none."""
    if text.strip() in {"", ".", ".."}:
        raise LocalError(f"{text!r} is no id", "The lists show those that there are")
    return quote(text, safe="")
