"""Which protocol a request is of: the parser takes two more than HTTP (RTSP and ICE), and does not say which it was.

It does not say where in what it was given a request begins, either. Most begin with what is read. The line of one that
follows another in the same piece is looked for in all of that piece, and in doubt the request is refused.
"""

import re

_OTHERS = (b"RTSP/", b"ICE/")
_NAMED = re.compile(rb"(?<= )(?:%b)" % b"|".join(_OTHERS))
_BLANK = ord(" ")


class RequestLine:
    """The line of the request that is coming in."""

    def __init__(self) -> None:
        self._read = b""  # with all of a head that is not complete
        self._is_first = True  # the request begins with what was read
        self._is_in_head = False

    def read(self, data: bytes, *, is_new: bool) -> None:
        """Bytes that the parser is going to be given; `is_new` if all before them is complete."""
        if not self._is_in_head:
            self._read, self._is_first = b"", is_new
        self._read += data

    def begin(self) -> None:
        """The first byte of a request."""
        self._is_in_head = True

    def complete(self) -> None:
        """The head is complete."""
        self._is_in_head = False

    def end(self) -> None:
        """The request has ended, and another may follow in what was read."""
        self._is_first = False

    def is_of_another_protocol(self, method: bytes, url: bytes) -> bool:
        """Whether the request's line, which has these, names another protocol than HTTP."""
        if not any(name in self._read for name in _OTHERS):
            return False
        read = self._read.lstrip(b"\r\n") if self._is_first else self._read
        begins = (_beginning(read, method, url, named.start()) for named in _NAMED.finditer(read))
        return any(begin == 0 if self._is_first else begin >= 0 for begin in begins)


def _beginning(read: bytes, method: bytes, url: bytes, end: int) -> int:
    """Where a method and an address begin before this place; negative if others do. They come from strangers,
    and may be long: expressions made of them would take long to compile, and be kept by hundreds."""
    for word in (url, method):
        before = end
        while end > 0 and read[end - 1] == _BLANK:
            end -= 1
        if end == before or not read.endswith(word, 0, end):
            return -1
        end -= len(word)
    return end
