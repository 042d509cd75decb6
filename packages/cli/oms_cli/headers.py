"""What is sent in a header."""

from oms_servers.errors import LocalError


def sendable(what: str, text: str) -> str:
    """A text that is sent in a header. LocalError if no header can hold it."""
    if text.isascii() and text.isprintable():
        return text
    raise LocalError(f"{what} must be printable ASCII", "Look for a letter with an accent, a line break or a tab in it")


def keyed(key: str) -> dict[str, str]:
    """The header with which a request may be repeated."""
    return {"Idempotency-Key": sendable("A key", key)}
