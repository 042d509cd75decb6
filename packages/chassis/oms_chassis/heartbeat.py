"""Heartbeats: each of a service's loops beats once per iteration, so that a hanging one is noticed."""

import threading
import time


class HeartbeatThread(threading.Thread):
    """A thread with the time of its loop's last heartbeat, on the monotonic clock; None if it runs no loop."""

    last_beat: float | None = None


def beat() -> None:
    """Record a heartbeat. Called by a loop in each iteration."""
    thread = threading.current_thread()
    if isinstance(thread, HeartbeatThread):
        thread.last_beat = time.monotonic()
