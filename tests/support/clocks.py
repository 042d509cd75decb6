"""Clocks that can be set forward and back for some programs only, by libfaketime, if it is installed.

    apt-get install libfaketime

It is preloaded into a program, and adds an offset from a file to the wall clock. Code that waits is not affected,
because the monotonic clock is left alone.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

PLACES = ("/usr/lib", "/usr/lib64", "/usr/local/lib")
LIBRARY = "faketime/libfaketime.so.1"  # in these folders, or in a subfolder for each architecture
READ_WITHIN = 1.0  # seconds until a program has noticed that its clock was set


def library() -> Path | None:
    """Return the path of libfaketime, if it is installed."""
    found = (file for place in PLACES for file in (Path(place) / LIBRARY, *Path(place).glob(f"*/{LIBRARY}")))
    return next((file for file in found if file.exists()), None)


def obstacle() -> str | None:
    """Return why clocks cannot be set here, or None if they can."""
    return None if library() else "libfaketime is not installed"


class Clock:
    """The wall clock of some programs. It is right until it is set."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.put(0)

    def environment(self) -> Mapping[str, str]:
        """Return the environment of a program that uses this clock; empty if clocks cannot be set here."""
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
        """Set the clock to this many seconds ahead of the right time."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        written = self._file.with_suffix(".new")
        written.write_text(f"{seconds:+d}\n")
        written.chmod(0o644)
        os.replace(written, self._file)  # noqa: PTH105 - nobody is to read half of it


@contextmanager
def jumped(clock: Clock, seconds: int) -> Iterator[None]:
    """Set a clock wrong by this many seconds during the block."""
    clock.put(seconds)
    try:
        yield
    finally:
        clock.put(0)
