"""No server outlives the process that started it, however that process ends.

Linux could signal a child at its parent's death, but counts the starting *thread* as the parent, and we start servers
from a pool of threads. So one small process holds the reading end of a pipe; when the writing end closes, its owner
is gone, and the small process kills those that it watches.
"""

import contextlib
import os
import subprocess
import sys
import threading

_PROGRAM = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
watched = set()
for line in sys.stdin:
    pid = int(line)
    watched.add(pid) if pid > 0 else watched.discard(-pid)
for pid in watched:
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        pass
"""
_lock = threading.Lock()
_guards: dict[int, subprocess.Popen[str]] = {}


def watch(pid: int) -> None:
    """Have the process killed when this one is gone."""
    _send(pid)


def forget(pid: int) -> None:
    """Stop watching a process that has ended: its number may soon be reused."""
    _send(-pid)


def _send(number: int) -> None:
    with _lock, contextlib.suppress(BrokenPipeError):
        pipe = _guard().stdin
        if pipe is not None:
            pipe.write(f"{number}\n")
            pipe.flush()


def _guard() -> subprocess.Popen[str]:
    """Return this process's guard; a forked child gets its own."""
    guard = _guards.get(os.getpid())
    if guard is None:
        guard = _guards[os.getpid()] = subprocess.Popen(
            [sys.executable, "-S", "-E", "-c", _PROGRAM], stdin=subprocess.PIPE, text=True, start_new_session=True
        )
    return guard
