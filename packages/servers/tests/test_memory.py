"""Folders in memory: only where there is room, and none outlives the process that made it for long."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from oms_servers import memory
from oms_servers.testing import memory_folder

NAME = "oms-test"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What takes the place of /dev/shm, with room enough."""
    monkeypatch.setattr(memory, "PLACE", tmp_path)
    monkeypatch.setattr(memory, "ROOM", 0)
    return tmp_path


def test_a_folder_is_in_memory_and_gone_afterwards(place: Path) -> None:
    with memory_folder() as folder:
        assert folder.parent == place
        (folder / "file").write_text("anything")
    assert list(place.iterdir()) == []


def test_a_folder_is_on_the_disk_where_memory_is_short(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "ROOM", 1 << 60)
    with memory_folder() as folder:
        assert folder.is_dir()
        assert list(place.iterdir()) == []


def test_a_folder_is_on_the_disk_where_there_is_no_such_place(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "PLACE", place / "missing")
    with memory_folder() as folder:
        assert folder.is_dir()


def test_what_a_killed_process_left_there_is_removed_and_nothing_else(place: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    orphan, used = place / f"{NAME}-{ended.pid}-a", place / f"{NAME}-{os.getppid()}-a"
    others = {place / "another", place / f"{NAME}-another-a"}
    for folder in (orphan, used, *others):
        folder.mkdir()
    with memory_folder() as folder:
        assert set(place.iterdir()) == {used, folder, *others}
