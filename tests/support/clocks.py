"""Clocks that can be put forward and back, each for some programs alone: by libfaketime, where it is installed.

    apt-get install libfaketime

It is preloaded into a program, and adds to the wall clock what a file says. What waits for a time to pass goes on as
ever: the monotonic clock is not touched.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

PLACES = ("/usr/lib", "/usr/lib64", "/usr/local/lib")
LIBRARY = "faketime/libfaketime.so.1"  # in these, or in a folder of theirs for each architecture
READ_WITHIN = 1.0  # seconds until a program has seen that its clock was put to another time


def library() -> Path | None:
    """libfaketime, if it is installed."""
    found = (file for place in PLACES for file in (Path(place) / LIBRARY, *Path(place).glob(f"*/{LIBRARY}")))
    return next((file for file in found if file.exists()), None)


def obstacle() -> str | None:
    """Why no clock can be put to another time here; None if one can."""
    return None if library() else "libfaketime is not installed"


class Clock:
    """The wall clock of some programs. It is right until it is put to another time."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.put(0)

    def environment(self) -> Mapping[str, str]:
        """What a program is started with whose clock this is; nothing where that cannot be had."""
        preloaded = library()
        if preloaded is None:
            return {}
        return {
            "LD_PRELOAD": str(preloaded),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": f"{READ_WITHIN:.0f}",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",  # its name in earlier releases
            "NO_FAKE_STAT": "1",
        }

    def put(self, seconds: int) -> None:
        """Let it be so many seconds ahead of the right time."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        written = self._file.with_suffix(".new")
        written.write_text(f"{seconds:+d}\n")
        written.chmod(0o644)
        os.replace(written, self._file)  # noqa: PTH105 - nobody is to read half of it


@contextmanager
def jumped(clock: Clock, seconds: int) -> Iterator[None]:
    """A clock that is wrong by so many seconds."""
    clock.put(seconds)
    try:
        yield
    finally:
        clock.put(0)
