"""How `oms` ends when somebody ends it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# A Ctrl-C at the moment at which the first library is asked for.
EARLY = """
import signal, sys

class Interrupting:
    def find_spec(self, name, *_):
        if name == "typer":
            signal.raise_signal(signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Interrupting())
from oms_cli.__main__ import main
main()
"""


@contextmanager
def following(home: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """`oms logs order -f`, once it has begun."""
    (home / "logs").mkdir()
    (home / "logs" / "order.log").write_text("one\n")
    command = [sys.executable, "-m", "oms_cli", "logs", "order", "-f"]
    environment = {**os.environ, "OMS_HOME": str(home)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, start_new_session=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"one\n"
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def test_ctrl_c_while_it_starts_prints_no_traceback() -> None:
    ended = subprocess.run([sys.executable, "-c", EARLY], capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


def test_a_log_that_is_followed_leaves_nothing_running_when_it_is_ended(tmp_path: Path) -> None:
    with following(tmp_path) as process:
        process.terminate()
        rest, _ = process.communicate(timeout=30)  # which ends when nobody has its standard output any more
        assert rest == b""
        assert process.returncode == -signal.SIGTERM


def test_a_log_that_is_followed_ends_with_who_reads_it(tmp_path: Path) -> None:
    with following(tmp_path) as process:
        assert process.stdout is not None
        process.stdout.close()
        with (tmp_path / "logs" / "order.log").open("a") as log:
            log.write("two\n")
        process.wait(timeout=30)
