"""Validates host names and addresses in settings."""

import re
from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

# RFC 1123 does not allow underscores, but resolvers do, and generated names contain them.
_NAME = re.compile(rb"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?")
_SCHEME = re.compile(r".*://")  # a prefix of a broker's address that Java's client allows and ignores


def checked(host: str) -> str:
    """Check a host's name or address, and return it. Raises ValueError if no resolver could look it up."""
    if not (_is_address(host) or _is_name(host)):
        raise ValueError(
            "is no name of a host: letters, digits and hyphens, at most 63 between two dots, without a scheme or a port"
        )
    return host


def addresses(text: str) -> Sequence[str]:
    """Split a list of `host:port`, separated by commas. Raises ValueError if an address is malformed."""
    found = [one.strip() for one in text.split(",") if one.strip()]
    if not (found and all(map(_leads_somewhere, found))):
        raise ValueError("must be host:port, more of them separated by commas")
    return found


def is_this_machine(host: str) -> bool:
    """Whether data sent to this host never leaves the machine."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _is_address(host: str) -> bool:
    try:
        return bool(ip_address(host))
    except ValueError:
        return False


def _is_name(host: str) -> bool:
    try:
        return _NAME.fullmatch(host.encode("idna")) is not None
    except UnicodeError:
        return False


def _leads_somewhere(text: str) -> bool:
    if _is_address(text):
        return True
    bare = _SCHEME.sub("", text, count=1)
    try:
        parts = urlsplit(f"//{bare}")
        host = checked(parts.hostname or "")
        return bool(host) and parts.port != 0 and parts.netloc == bare and "@" not in bare
    except ValueError:
        return False
