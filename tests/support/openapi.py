"""Tests a service against its own OpenAPI document: schemathesis sends requests that follow it, and others.

It runs as a program, because its pytest plugin does not support pytest 9.2 and lacks some phases of a run.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

LONG = os.environ.get("OMS_EXAMPLES")  # set by `make fuzz`
EXAMPLES = int(LONG) // 3 if LONG else 20  # of each operation; cases at the bounds of each parameter are additional
OPTIONS = [
    "--checks=all",
    "--exclude-checks=positive_data_acceptance",  # the hooks have one that allows for rules beyond schemas
    "--continue-on-failure",
    "--request-timeout=60",
    "--no-color",
    f"--max-examples={EXAMPLES}",
    *([] if LONG else ["--generation-deterministic"]),
]
COUNTS = Path(__file__).parents[2] / "build" / "fuzz.txt"  # of `make fuzz`: tests, and their numbers of cases
CONFIG = "max-stream-events = 1\n"  # the first event of a stream suffices


def cases_held(address: str, folder: Path, *options: str) -> int:
    """Return the number of cases sent to the service; raises AssertionError if an answer contradicts its document."""
    (folder / "schemathesis.toml").write_text(CONFIG)
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(folder / "schemathesis.toml")]
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "support.openapi_hooks",
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    done = subprocess.run(
        [*command, "run", f"{address.rstrip('/')}/openapi.json", *OPTIONS, *options],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=7200 if LONG else 250, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    generated = re.search(r"(\d+) generated", done.stdout)
    assert generated, done.stdout
    if LONG:
        _count(int(generated[1]))
    return int(generated[1])


def _count(cases: int) -> None:
    COUNTS.parent.mkdir(exist_ok=True)
    service, _, test = (
        os.environ["PYTEST_CURRENT_TEST"].removesuffix(" (call)").removeprefix("services/").partition("/")
    )
    words = test.rpartition("::")[2].removeprefix("test_").replace("_", " ")
    with COUNTS.open("a") as file:
        file.write(f"{service}: {words} {cases}\n")
