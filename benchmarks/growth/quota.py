"""Limits the CPU time of processes, by Linux control groups of either version."""

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

PERIOD = 20_000  # microseconds: short, so that a process which used up its share does not pause for long
_UNIFIED = Path("/sys/fs/cgroup")
_CPU = _UNIFIED / "cpu"  # of version 1, in which each kind of resource has a tree of its own


class NoQuotas(Exception):
    """This machine has no control groups, or this user may not make any."""


@contextmanager
def bounded(pids: Iterable[int], share: float) -> Iterator[None]:
    """Limit each of these processes to a share of one core, until the end of the block. Raises NoQuotas."""
    with ExitStack() as stack:
        for pid in pids:
            stack.enter_context(_bounded(pid, share))
        yield


@contextmanager
def _bounded(pid: int, share: float) -> Iterator[None]:
    tree = _CPU if _CPU.is_dir() else _UNIFIED
    group = tree / f"oms-benchmark-{pid}"
    try:
        if tree == _UNIFIED:
            (tree / "cgroup.subtree_control").write_text("+cpu")
        group.mkdir()
    except OSError as error:
        raise NoQuotas(f"no control group can be made: {os.strerror(error.errno or 0)}") from None
    try:
        _bound(group, int(share * PERIOD))
        (group / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        for member in (group / "cgroup.procs").read_text().split():
            (tree / "cgroup.procs").write_text(member)
        group.rmdir()


def _bound(group: Path, microseconds: int) -> None:
    if (group / "cpu.max").exists():
        (group / "cpu.max").write_text(f"{microseconds} {PERIOD}")
        return
    (group / "cpu.cfs_period_us").write_text(str(PERIOD))
    (group / "cpu.cfs_quota_us").write_text(str(microseconds))
