"""Texts that are sent in headers."""

from oms_servers.errors import LocalError


def sendable(what: str, text: str) -> str:
    """Return a text that is sent in a header. Raises LocalError if a header cannot contain it."""
    if text.isascii() and text.isprintable():
        return text
    raise LocalError(f"{what} must be printable ASCII", "Look for a letter with an accent, a line break or a tab in it")


def keyed(key: str) -> dict[str, str]:
    """Return the header by which a request may be repeated."""
    return {"Idempotency-Key": sendable("A key", key)}
