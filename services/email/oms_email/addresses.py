"""Recipients' addresses in the form that mail servers accept."""

import idna

from oms_email import domain


def on_the_wire(text: str) -> str | None:
    """Return an address as it is in an SMTP command; None if `text` is not one.

    A domain in any script is converted to ASCII (RFC 5891), which every server accepts. The part before the @ has no
    such form.
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
