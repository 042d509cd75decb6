"""Writes docs/images/make-up.svg, the picture in the README, from what a run of `oms up` prints.

`terminal_picture.py` starts `oms up` on a terminal of its own, in a new folder, and stops it when the sample order is
confirmed; `terminal_picture.py --from FILE` draws an earlier recording.
"""

import argparse
import fcntl
import io
import os
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "make-up.svg"
ROWS, COLUMNS = 50, 110
LAST = "Ctrl-C stops OMS"  # what `oms up` prints when the sample order is confirmed
TIME_LIMIT = 300.0  # seconds
_REDRAWN = re.compile(r"(?:\r|\x1b\[\d*[AKGJ])+")  # how a live display moves back to its first line
_FONT = re.compile(r"@font-face\s*\{.*?\}", re.DOTALL)  # GitHub does not let a picture fetch anything
_CURSOR = re.compile(r"\x1b\[\?25[lh]")


def captured() -> str:
    """Return what `oms up` prints on a terminal, including escape sequences, until the sample order is confirmed."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    with tempfile.TemporaryDirectory() as home:
        Path(home).chmod(0o755)
        environment = {**os.environ, "OMS_HOME": f"{home}/oms", "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        process = subprocess.Popen(
            [sys.executable, "-m", "oms_cli", "up"], env=environment, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        try:
            return _read(ours, time.monotonic() + TIME_LIMIT)
        finally:
            process.send_signal(signal.SIGINT)
            _drain(ours, process)
            os.close(ours)


def _read(terminal: int, deadline: float) -> str:
    output = b""
    while LAST.encode() not in output:
        if time.monotonic() > deadline:
            raise TimeoutError(output.decode(errors="replace"))
        if select.select([terminal], [], [], 1.0)[0]:
            output += os.read(terminal, 65536)
    return output.decode() + "\n"


def _drain(terminal: int, process: "subprocess.Popen[bytes]") -> None:
    # A process that writes to a terminal that nobody reads would wait for ever.
    deadline = time.monotonic() + 60.0
    while process.poll() is None and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                os.read(terminal, 65536)
            except OSError:  # the other end is closed
                break
    process.wait(timeout=30.0)


def frames(output: str) -> list[str]:
    """Return what was on the terminal from one redraw to the next, without blank ones."""
    plain = _CURSOR.sub("", output).replace("\r\n", "\n")
    return [frame.strip("\n") for frame in _REDRAWN.split(plain) if frame.strip()]


def still(output: str) -> str:
    """Return the last table of the start, and the output after it."""
    shown = frames(output)
    tables = [index for index, frame in enumerate(shown) if "starting OMS" in frame]
    return "\n".join(shown[tables[-1] :] if tables else shown)


def draw(output: str) -> str:
    """Return the picture as SVG, which needs nothing from the network."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(f"\x1b[1m$ make up\x1b[0m\n{still(output)}"))
    return _FONT.sub("", console.export_svg(title="make up", unique_id="make-up"))


def main() -> int:
    """Draw it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="source", type=Path, help="a file with what was captured before")
    parser.add_argument("--keep", type=Path, help="write what was captured to this file, too")
    options = parser.parse_args()
    output = options.source.read_text() if options.source else captured()
    if options.keep:
        options.keep.write_text(output)
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(draw(output))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
