"""Each command of the benchmarks can be started as the Makefile and the scripts do."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXTS = [ROOT / "Makefile", *sorted((ROOT / "scripts").glob("*.sh"))]
START = re.compile(r"(PYTHONPATH=tests )?(?:exec )?\S*python -m (benchmarks[\w.]*)")
STARTS = sorted({(bool(path), module) for text in TEXTS for path, module in START.findall(text.read_text())})


def test_there_are_commands() -> None:
    assert {module for _, module in STARTS} >= {"benchmarks", "benchmarks.scale", "benchmarks.footprint"}


@pytest.mark.parametrize(("with_tests", "module"), STARTS)
def test_a_command_explains_itself(with_tests: bool, module: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"PYTHONPATH": "tests"} if with_tests else {}
    command = [sys.executable, "-m", module, "--help"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "usage:" in done.stdout) == (0, True), done.stderr
