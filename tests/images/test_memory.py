"""The images' settings make the C library return memory."""

import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from oms_platform import services

BASE = (Path(__file__).parents[2] / "Dockerfile.base").read_text()
SETTINGS = dict(re.findall(r"(MALLOC_\w+)=(\d+)", BASE))
# Allocates and frees large blocks, and smaller ones between them that are kept, as with the records of a batch. Prints
# the MiB that are left in the end; five of them are still in use.
PROGRAM = """
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20

first = b"x" * 9_000_000
del first
before, kept, large = resident(), [], []
for _ in range(20):
    large = [b"x" * 6_000_000 for _ in range(5)]
    kept.append(b"y" * 100_000)
    large = []
    kept.append(b"y" * 100_000)
for _ in range(10):
    large.append(b"x" * 6_000_000)
    kept.append(b"y" * 100_000)
large = []
print(resident() - before)
"""

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="these are settings of glibc")


def left(settings: Mapping[str, str]) -> float:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**environment, **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return float(done.stdout)


def test_the_local_platform_has_the_same_settings() -> None:
    assert SETTINGS
    assert services.MEMORY == SETTINGS


def test_the_memory_of_large_blocks_is_returned_to_the_system() -> None:
    assert left(SETTINGS) < 10.0


def test_without_these_settings_it_is_kept() -> None:
    assert left({}) > 20.0
