"""Gives a database a disk of its own that can be filled: on Linux, as root, who may mount one."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from oms_servers.postgres import PostgresServer
from support.chassis import eventually

NAME = "oms-test-"  # followed by the id of the process that made the disk
WITHIN = 30.0  # seconds until a disk is full
ROOM = 1024  # MiB of memory, of which only the written part is used
WAL = {"max_wal_size": "64MB"}  # limits how much of it is kept in memory


def obstacle() -> str | None:
    """Return why no disk can be made here, or None if one can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "only root on Linux may mount a small disk"
    return None


@contextmanager
def own_disk(server: PostgresServer) -> Iterator[None]:
    """Put a server that has not been started on a disk of its own, if one can be made."""
    if obstacle():
        yield
        return
    _remove_those_of_the_dead()
    disk = server.folder.with_name(f"{server.folder.name}-disk")
    disk.mkdir(parents=True)
    assert _run("mount", "-t", "tmpfs", "-o", f"size={ROOM}m,mode=755", f"{NAME}{os.getpid()}", disk) == 0
    try:
        server.folder = disk / server.folder.name
        server.settings |= WAL
        yield
    finally:
        _run("umount", "--lazy", disk)


@contextmanager
def full(server: PostgresServer) -> Iterator[None]:
    """Fill the disk during the block. Afterwards the server runs again, even if it had given up."""
    disk = server.folder.parent
    eventually(lambda: _resize(disk, _used(disk)), WITHIN)  # more may be in use by then
    try:
        yield
    finally:
        assert _resize(disk, ROOM * 1024)
        server.start()
        server.await_ready()


def _remove_those_of_the_dead() -> None:
    """Remove the disks of runs that were killed, which would keep their memory."""
    for name, place, *_ in map(str.split, Path("/proc/mounts").read_text().splitlines()):
        if name.startswith(NAME) and not psutil.pid_exists(int(name.removeprefix(NAME))):
            _run("umount", "--lazy", place)


def _used(disk: Path) -> int:
    found = os.statvfs(disk)
    return (found.f_blocks - found.f_bfree) * found.f_frsize // 1024


def _resize(disk: Path, kibibytes: int) -> bool:
    """Resize a disk. Return whether it has this size now: it cannot be smaller than its contents."""
    return _run("mount", "-o", f"remount,size={kibibytes}k", disk) == 0


def _run(*command: str | Path) -> int:
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode
