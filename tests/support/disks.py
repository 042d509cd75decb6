"""A disk of a database's own, small enough to be full: on Linux, for root, who may mount one."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from oms_servers.postgres import PostgresServer
from support.chassis import eventually

NAME = "oms-test-"  # and the id of the process whose disk it is
WITHIN = 30.0  # seconds until a disk is full
ROOM = 1024  # MiB: memory, of which only what is written is used
WAL = {"max_wal_size": "64MB"}  # no more of it is kept in memory


def obstacle() -> str | None:
    """Why no disk can be made here; None if one can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "only root on Linux may mount a small disk"
    return None


@contextmanager
def own_disk(server: PostgresServer) -> Iterator[None]:
    """A server that has not been started is put on a disk of its own, if one can be made."""
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
    """A disk on which nothing more can be written. The server is there again when it ends, also if it has given up."""
    disk = server.folder.parent
    eventually(lambda: _resize(disk, _used(disk)), WITHIN)  # more may be used by then
    try:
        yield
    finally:
        assert _resize(disk, ROOM * 1024)
        server.start()
        server.await_ready()


def _remove_those_of_the_dead() -> None:
    """Disks of runs that were killed: they would keep their memory."""
    for name, place, *_ in map(str.split, Path("/proc/mounts").read_text().splitlines()):
        if name.startswith(NAME) and not psutil.pid_exists(int(name.removeprefix(NAME))):
            _run("umount", "--lazy", place)


def _used(disk: Path) -> int:
    found = os.statvfs(disk)
    return (found.f_blocks - found.f_bfree) * found.f_frsize // 1024


def _resize(disk: Path, kibibytes: int) -> bool:
    """Whether it has this size now: it cannot be made smaller than what is used."""
    return _run("mount", "-o", f"remount,size={kibibytes}k", disk) == 0


def _run(*command: str | Path) -> int:
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode
