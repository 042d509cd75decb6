"""Recipients' addresses as mail servers take them."""

import idna

from oms_email import domain


def on_the_wire(text: str) -> str | None:
    """An address as it is in an SMTP command; None if `text` is not one.

    A domain of any script goes in ASCII (RFC 5891), which every server takes. What is before the @ has no such form.
    """
    if domain.address(text) is None:
        return None
    local, _, host = text.rpartition("@")
    if host.isascii():
        return text
    try:
        return f"{local}@{idna.encode(host, uts46=True).decode()}"
    except idna.IDNAError:
        return None
