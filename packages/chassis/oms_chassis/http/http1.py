"""HTTP/1.1, and nothing else on the same connection.

A client may offer to go on in another protocol (`Upgrade: h2c` is what Java's offers by default), and a server may pass
the offer over (RFC 9110, 7.8). uvicorn does, but its parser takes the body for the other protocol's first bytes. Here
such a request's head is read a second time, without the offer.
"""

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Http1(HttpToolsProtocol):
    """uvicorn's protocol, which reads the body of a request that offers an upgrade."""

    def data_received(self, data: bytes) -> None:
        """Bytes of the client's."""
        self._unset_keepalive_if_required()
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                if self.parser.get_method() == b"CONNECT":  # no offer: there is nothing to read without the tunnel
                    self.send_400_response("There is no way through here.")
                    return
                data = self._head_without_the_offer() + data[offer.args[0] :]
                self._read_again()
            except httptools.HttpParserError:
                self.send_400_response("Invalid HTTP request received.")
                return
            else:
                return

    def on_headers_complete(self) -> None:
        """Begin the request, unless its head is to be read again."""
        if not self._is_offer():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End the request, unless its head is to be read again."""
        if not self._is_offer():
            super().on_message_complete()

    def _is_offer(self) -> bool:
        return bool(self.parser.should_upgrade())

    def _read_again(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def _head_without_the_offer(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        lines += [b"%b: %b" % field for field in self.headers if field[0] != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])
