"""Where a name leads."""

from ipaddress import ip_address


def checked(host: str) -> str:
    """A host's name or address. ValueError for what nobody can look up, which would be found out with each call."""
    try:
        host.encode("idna")
    except UnicodeError:
        raise ValueError("is no name of a host: a part between two dots is empty, or has more than 63 bytes") from None
    return host


def is_this_machine(host: str) -> bool:
    """Whether what is sent to this host leaves the machine under no circumstances."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
