"""What is put into a path of a service's."""

from urllib.parse import quote

from oms_servers.errors import LocalError


def part(text: str) -> str:
    """An id as a part of a path, whatever is in it. LocalError for what leads to another path, or to none."""
    if text.strip() in {"", ".", ".."}:
        raise LocalError(f"{text!r} is no id", "The lists show those that there are")
    return quote(text, safe="")
