"""What the mail catcher speaks: aiosmtpd's SMTP, with a short way for what nearly every mail has."""

import re

from aiosmtpd.smtp import SMTP

_PLAIN = re.compile(r"<([0-9A-Za-z.+_-]{1,64}@[0-9A-Za-z.-]{1,255})>[ \t]*(.*)", re.DOTALL)


class Receiver(SMTP):
    """The server side of a connection. The library makes a parse tree of each address: a fifth of a mail."""

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        plain = _PLAIN.fullmatch(arg)
        return (plain[1], plain[2]) if plain else super()._getaddr(arg)
