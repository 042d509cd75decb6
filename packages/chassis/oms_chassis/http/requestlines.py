"""Recognises requests of other protocols. The parser accepts two besides HTTP (RTSP and ICE), and does not say which it
was.

Nor does it say where in its input a request begins. Most begin where the input does. If a request follows another one
in the same input, its line is searched for in all of it, and in doubt the request is refused.
"""

import re

_OTHERS = (b"RTSP/", b"ICE/")
_NAMED = re.compile(rb"(?<= )(?:%b)" % b"|".join(_OTHERS))
_BLANK = ord(" ")


class RequestLine:
    """The line of the request that is being read."""

    def __init__(self) -> None:
        self._read = b""  # the input, with all of a head that is not complete
        self._is_first = True  # the request begins where the input does
        self._is_in_head = False

    def read(self, data: bytes, *, is_new: bool) -> None:
        """Note bytes before the parser gets them; `is_new` if everything before them is complete."""
        if not self._is_in_head:
            self._read, self._is_first = b"", is_new
        self._read += data

    def begin(self) -> None:
        """Note that a request begins."""
        self._is_in_head = True

    def complete(self) -> None:
        """Note that the head is complete."""
        self._is_in_head = False

    def end(self) -> None:
        """Note that the request has ended: another one may follow in the same input."""
        self._is_first = False

    def is_of_another_protocol(self, method: bytes, url: bytes) -> bool:
        """Whether the request line with this method and URL names another protocol than HTTP."""
        if not any(name in self._read for name in _OTHERS):
            return False
        read = self._read.lstrip(b"\r\n") if self._is_first else self._read
        begins = (_beginning(read, method, url, named.start()) for named in _NAMED.finditer(read))
        return any(begin == 0 if self._is_first else begin >= 0 for begin in begins)


def _beginning(read: bytes, method: bytes, url: bytes, end: int) -> int:
    """Return where the method and URL that end here begin, or a negative number if others end here. They come from
    strangers and may be long: regular expressions made of them would be slow to compile, and hundreds would be
    cached."""
    for word in (url, method):
        before = end
        while end > 0 and read[end - 1] == _BLANK:
            end -= 1
        if end == before or not read.endswith(word, 0, end):
            return -1
        end -= len(word)
    return end
