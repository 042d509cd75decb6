"""Where a name leads."""

from ipaddress import ip_address


def is_this_machine(host: str) -> bool:
    """Whether what is sent to this host leaves the machine under no circumstances."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
