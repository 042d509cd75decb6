"""A limit on the CPU time of a process takes effect, and is lifted afterwards."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.growth.quota import NoQuotas, bounded

# Uses a tenth of a second of CPU time for each line it reads, and prints how long that took.
BUSY = """
import sys, time
for _ in sys.stdin:
    began, until = time.monotonic(), time.process_time() + 0.1
    while time.process_time() < until:
        pass
    print(time.monotonic() - began, flush=True)
"""


@contextmanager
def busy() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", BUSY]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def seconds(process: subprocess.Popen[str]) -> float:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def groups(process: subprocess.Popen[str]) -> str:
    return Path(f"/proc/{process.pid}/cgroup").read_text()


def test_a_limited_process_takes_as_long_as_its_share_of_a_core_implies_and_is_released_afterwards() -> None:
    with busy() as process:
        seconds(process)
        before = groups(process)
        try:
            with bounded([process.pid], 0.1):
                assert groups(process) != before
                assert seconds(process) > 0.5
        except NoQuotas as reason:
            pytest.skip(str(reason))
        assert groups(process) == before
