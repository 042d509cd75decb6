"""HTTP/1.1, and no other protocol on the same connection.

A client may offer to continue in another protocol (Java's client sends `Upgrade: h2c` by default), and a server may
ignore the offer (RFC 9110, 7.8). uvicorn does, but its parser takes the body for the first bytes of the other protocol.
Here, the head of such a request is parsed a second time, without the offer.

The parser does not limit the size of a request's head, keeps blanks after the value of a header, and reports trailers
as headers. Here, a head has a limit, trailers are ignored, and a request that cannot be read is answered with a
problem, as the last answer of its connection, after those to earlier requests. So is a request that does not end in
time: otherwise a client that vanished, or takes for ever, would hold its connection for good.
"""

import asyncio
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from oms_chassis.http import problems
from oms_chassis.http.http10 import Http10
from oms_chassis.http.problems import BadRequest, Problem
from oms_chassis.http.refusals import HeadTooLarge, RequestTimeout, UnsupportedTransferCoding, VersionNotSupported
from oms_chassis.http.requestlines import RequestLine

HEAD_LIMIT = 32 * 1024  # bytes of a request line with its headers
WHOLE = 60.0  # seconds from the first byte of a request to its last
LINGER = 1.0  # seconds for a client to read the refusal, before bytes that it still sends reset the connection


class Http1(Http10):
    """uvicorn's protocol, with limits, that also reads the body of a request that offers an upgrade."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._line = RequestLine()
        self._unread = 0  # bytes since a request or a piece of a body was complete
        self._is_over = False  # whether further input is ignored
        self._is_begun = False  # whether a request is being read
        self._limit: asyncio.TimerHandle | None = None  # for the request that is being read

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Close a connection without a request after the same time as one that is idle after an answer."""
        super().connection_made(transport)
        self._expect_a_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        self._unset_keepalive_if_required()
        self._end_limit()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read bytes from the client."""
        self._unset_keepalive_if_required()
        if self._is_over:
            return
        self._unread += len(data)
        self._line.read(data, is_new=not self._is_begun)
        try:
            self._read(data)
        except httptools.HttpParserError as error:
            self._refuse(self._problem(error))
        else:
            if self._unread > HEAD_LIMIT:
                self._refuse(HeadTooLarge())
            elif self._is_begun and self._limit is None:
                self._begin_limit()
            elif self._is_idle():  # an empty line, which may precede a request, does not begin one
                self._expect_a_request()

    def _problem(self, error: httptools.HttpParserError) -> Problem:
        """Return the reason why the parser, or one of its callbacks, refuses to continue. It reports a line without a
        version as "0.0"."""
        if isinstance(error.__context__, Problem):
            return error.__context__
        if self._is_of_another_protocol():
            return BadRequest()
        return VersionNotSupported() if self.parser.get_http_version()[0] not in "01" else BadRequest()

    def _is_idle(self) -> bool:
        return not self._is_begun and (self.cycle is None or self.cycle.response_complete)

    def _expect_a_request(self) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def _read(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                if self.parser.get_method() == b"CONNECT":  # not an offer: without the tunnel there is nothing to read
                    raise httptools.HttpParserError from None
                data = self._head_without_the_offer() + data[offer.args[0] :]
                self._read_again()
            else:
                return

    def on_message_begin(self) -> None:
        """Note that a request begins."""
        self._is_begun = True
        self._line.begin()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header, without the blanks around its value, which are not part of it (RFC 9112, 5.1)."""
        super().on_header(name, value.strip(b" \t"))

    def on_headers_complete(self) -> None:
        """Begin the request, unless its head has to be parsed again. Raises Problem."""
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > HEAD_LIMIT:
            raise HeadTooLarge
        self._line.complete()
        if self._is_of_another_protocol():
            raise BadRequest()
        if not self.parser.get_http_version().startswith("1."):
            raise VersionNotSupported
        self._check_codings()
        if not self._is_offer():
            super().on_headers_complete()
            self._unread = 0
            self.headers = []  # collects trailers from now on: the request has its own list

    def on_body(self, body: bytes) -> None:
        """Pass on a piece of a body."""
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request, unless its head has to be parsed again."""
        if not self._is_offer():
            self._unread, self._is_begun = 0, False
            self._line.end()
            self._end_limit()
            super().on_message_complete()

    def _begin_limit(self) -> None:
        self._limit = self.loop.call_later(WHOLE, self._expire)

    def _expire(self) -> None:
        """Refuse the unfinished request, unless reading is paused because an earlier one is being answered."""
        if self.flow.read_paused:
            self._begin_limit()
        else:
            self._refuse(RequestTimeout())

    def _end_limit(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _check_codings(self) -> None:
        """Raise Problem for transfer codings other than chunked. The parser only requires that chunked is last, and
        accepts it even from HTTP/1.0 clients, which cannot know it (RFC 9112, 6.1)."""
        given = [value for name, value in self.headers if name == b"transfer-encoding"]
        if given and self.parser.get_http_version() == "1.0":
            raise BadRequest()
        if given and b",".join(given).strip().lower() != b"chunked":
            raise UnsupportedTransferCoding

    def _is_of_another_protocol(self) -> bool:
        return self._line.is_of_another_protocol(self.parser.get_method(), self.url)

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

    def _refuse(self, problem: Problem) -> None:
        """Answer a request that cannot be read, unless the client would take this for the answer to an earlier
        request."""
        self._is_over = True
        self._end_limit()
        newest = self.cycle
        if newest is not None and not newest.response_complete:
            if not newest.more_body:
                newest.keep_alive = False  # it was read completely, and its answer is the last one
                return
            newest.disconnected = True  # its body will never be complete
            newest.message_event.set()
            if self.pipeline or newest.response_started:
                self.transport.close()
                return
        self._answer(problem)

    def _answer(self, problem: Problem) -> None:
        answer = problems.respond(problem)
        fields = [*self.server_state.default_headers, *answer.raw_headers, (b"connection", b"close")]
        head = b"".join(b"%b: %b\r\n" % field for field in fields)
        self.transport.write(STATUS_LINE[problem.status] + head + b"\r\n" + bytes(answer.body))
        self.transport.write_eof()
        self.loop.call_later(LINGER, self.transport.close)
