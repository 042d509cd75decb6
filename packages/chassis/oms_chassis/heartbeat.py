"""Heartbeats: each loop that a service lives by says whenever it comes around, so that one that hangs is noticed."""

import threading
import time


class HeartbeatThread(threading.Thread):
    """A thread, and the last heartbeat of its loop on the monotonic clock; None as long as it has no loop."""

    last_beat: float | None = None


def beat() -> None:
    """Called by a loop each time when it comes around."""
    thread = threading.current_thread()
    if isinstance(thread, HeartbeatThread):
        thread.last_beat = time.monotonic()
