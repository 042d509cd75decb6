"""A consumer's identity in its group outlives its process, and is used by one process at a time."""

import subprocess
import sys
from pathlib import Path

import pytest

from oms_chassis.messaging.identity import identity

BECOME = """
import sys
from pathlib import Path
from oms_chassis.messaging.identity import identity
identity(Path(sys.argv[1]), "order").become(sys.argv[2])
"""


def live_and_die(folder: Path, member_id: str) -> None:
    """Do what a process does that gets a member id."""
    subprocess.run([sys.executable, "-c", BECOME, str(folder), member_id], timeout=60, check=True)


def test_a_process_takes_over_the_identity_of_the_previous_one(tmp_path: Path) -> None:
    live_and_die(tmp_path, "oms-a-longer-name")
    live_and_die(tmp_path, "oms-1")
    assert identity(tmp_path, "order").member_id == "oms-1"
    assert identity(tmp_path, "payment").member_id == ""


def test_two_live_processes_never_share_an_identity(tmp_path: Path) -> None:
    living = identity(tmp_path, "order")
    living.become("oms-1")
    other = identity(tmp_path, "order")
    assert other.member_id == ""
    other.become("oms-2")
    assert (tmp_path / "order.member").read_text() == "oms-1"


@pytest.mark.parametrize("found", [b"", b"\x00\xff", b"oms 1", b"oms-1\n", b"x" * 70_000])
def test_an_invalid_member_id_is_ignored(tmp_path: Path, found: bytes) -> None:
    (tmp_path / "order.member").write_bytes(found)
    kept = identity(tmp_path, "order")
    assert kept.member_id in {"", "x" * 300}  # a group does not know the latter
    kept.become("oms-2")
    assert (tmp_path / "order.member").read_text() == "oms-2"


def test_without_a_folder_a_process_has_a_new_identity(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "order.member").symlink_to(tmp_path / "elsewhere")
    for folder in (None, tmp_path / "missing", tmp_path / "file", tmp_path):
        somebody = identity(folder, "order")
        assert somebody.member_id == ""
        somebody.become("oms-1")
        assert somebody.member_id == "oms-1"
    assert not (tmp_path / "elsewhere").exists()
