"""What the mail catcher speaks: aiosmtpd's SMTP, with a short way for what nearly every mail has."""

import asyncio
import re
from typing import cast

from aiosmtpd.smtp import SMTP

from oms_chassis.http.coalescing import CoalescingTransport

_PLAIN = re.compile(r"<([0-9A-Za-z.+_-]{1,64}@[0-9A-Za-z.-]{1,255})>[ \t]*(.*)", re.DOTALL)


class Receiver(SMTP):
    """The server side of a connection. The library makes a parse tree of each address: a fifth of a mail. And it sends
    each reply by itself, also those to commands that came together."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        super().connection_made(cast("asyncio.BaseTransport", CoalescingTransport(transport, self.loop)))

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        plain = _PLAIN.fullmatch(arg)
        return (plain[1], plain[2]) if plain else super()._getaddr(arg)
