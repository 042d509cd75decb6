#!/opt/oms/bin/python
"""Replace `python` in a development image: run the service, and restart it when a Python file changes.

Skaffold puts changed files into FOLDER, which is writable although the image is not. The code in the image is copied
there first, so that a service never runs from two places.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

IMAGE = Path(os.environ.get("OMS_RELOAD_FROM", "/app"))
FOLDER = Path(os.environ.get("OMS_RELOAD_FOLDER", "/tmp/dev"))  # noqa: S108 - the pod's own, nobody else's
POLL_SECONDS = 0.5
RESTART_SECONDS = 5.0


def copy_if_absent(source: str, target: str) -> str:
    """Copy a file unless it exists: one synchronised before the container restarted is newer than the image."""
    return target if Path(target).exists() else shutil.copy2(source, target)


def versions() -> dict[Path, int]:
    """Return when each file last changed."""
    return {path: path.stat().st_mtime_ns for path in FOLDER.rglob("*.py")}


def run_until_changed(arguments: list[str], stop: threading.Event) -> int:
    """Run the service until `stop` is set or a file changes. After a crash, wait a little for a change."""
    before = versions()
    child = subprocess.Popen([sys.executable, *arguments], cwd=FOLDER)
    dead_for = 0.0
    while not stop.wait(POLL_SECONDS) and versions() == before and dead_for < RESTART_SECONDS:
        dead_for += POLL_SECONDS if child.poll() is not None else 0.0
    child.terminate()
    code = child.wait()
    return code if code >= 0 else 128 - code  # as a shell reports a signal


def main(arguments: list[str]) -> int:
    """Run Python. Only a service that serves is restarted on changes; everything else runs once, as usual."""
    if arguments[-1:] != ["serve"]:
        os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - this runs in that program's place
    shutil.copytree(IMAGE, FOLDER, dirs_exist_ok=True, copy_function=copy_if_absent)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    while True:
        code = run_until_changed(arguments, stop)
        if stop.is_set():
            return code
        print("reload: starting again", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
