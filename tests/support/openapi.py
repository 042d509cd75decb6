"""A service against its own OpenAPI document: schemathesis makes requests that follow it and requests that do not.

It runs as a program: its pytest plugin does not know pytest 9.2, and a run goes through phases that the plugin lacks.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

LONG = os.environ.get("OMS_EXAMPLES")  # set by `make fuzz`
EXAMPLES = int(LONG) // 3 if LONG else 20  # of each operation; what is at the bounds of each parameter comes on top
OPTIONS = [
    "--checks=all",
    "--exclude-checks=positive_data_acceptance",  # the hooks have it, with what no schema can say
    "--continue-on-failure",
    "--request-timeout=60",
    "--no-color",
    f"--max-examples={EXAMPLES}",
    *([] if LONG else ["--generation-deterministic"]),
]
COUNTS = Path(__file__).parents[2] / "build" / "fuzz.txt"  # of `make fuzz`: tests, and how many cases they had
CONFIG = "max-stream-events = 1\n"  # the first one of a stream says enough


def cases_held(address: str, folder: Path, *options: str) -> int:
    """How many cases the service at this address was asked; AssertionError if an answer is not as its document says."""
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
