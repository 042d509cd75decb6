"""Runs `oms` in a process forked from one that has imported it: the imports are most of the cost of a call.

`support.shell` starts it as a person does.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

_FORKS = get_context("forkserver")
_FORKS.set_forkserver_preload(["oms_cli.cli"])


def run(
    arguments: Sequence[str], environment: Mapping[str, str] | None = None, timeout: float = 60.0
) -> "subprocess.CompletedProcess[str]":
    """Run a command, by default in our own environment. Return its output and its exit code."""
    with TemporaryDirectory() as folder:
        printed = Path(folder) / "stdout", Path(folder) / "stderr"
        process = _FORKS.Process(target=_oms, args=(list(arguments), dict(environment or os.environ), *printed))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(list(arguments), timeout)
        return subprocess.CompletedProcess(list(arguments), process.exitcode, *(one.read_text() for one in printed))


def _oms(arguments: list[str], environment: dict[str, str], stdout: Path, stderr: Path) -> None:
    from oms_cli.cli import main

    os.environ.clear()
    os.environ.update(environment)
    for number, file in enumerate((stdout, stderr), start=1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    sys.argv = ["oms", *arguments]
    main()
