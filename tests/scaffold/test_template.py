"""`make service` writes correct files, whatever the service's name."""

import subprocess
import sys
from pathlib import Path

import pytest
from support.scripts import load

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["ad", "loyalty", "z2345678901234567890"])
def test_a_new_service_is_formatted_and_its_imports_are_in_order(name: str, tmp_path: Path) -> None:
    load("service").write_folder(tmp_path, name)
    for tool in ("format --check", "check --select I"):
        options = [*tool.split(), "--no-cache", "--config", str(ROOT / "pyproject.toml"), str(tmp_path)]
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *options], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
