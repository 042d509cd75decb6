"""Ends a process in time, whatever hangs."""

import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from oms_chassis.runtime.threads import run_detached
from oms_chassis.telemetry.logs import logger

log = logger(__name__)

LATEST = 1.0  # seconds after the end of the drain until a process that still hangs is killed


@dataclass
class Drain:
    """The time for stopping, and whether each step kept to its share."""

    seconds: float
    began: float = field(default_factory=time.monotonic)
    in_time: bool = True

    def by(self, share: float) -> float:
        """Return when that share of the time is over, on the monotonic clock."""
        return self.began + self.seconds * share

    def left(self, share: float = 1.0) -> float:
        """Return the seconds until that share is over; never 0, so that a step which has ended already is noticed."""
        return max(0.1, self.by(share) - time.monotonic())

    async def step(self, name: str, call: Callable[[], object], share: float) -> None:
        """Run a step in a thread of its own until that share of the time is over. If it returns False, it was late,
        too."""
        outcomes: list[object] = []
        is_over = await run_detached(name, lambda: outcomes.append(call()), self.left(share))
        if not is_over or False in outcomes:
            log.warning("stop_late", step=name)
            self.in_time = False


class LastResort:
    """Ends the process when its time is over, even if threads hang for which Python would wait at exit."""

    def __init__(self) -> None:
        self._disarmed = threading.Event()

    def arm(self, seconds: float) -> None:
        """End the process after so many seconds, unless disarmed."""
        threading.Thread(target=self._watch, args=(seconds,), name="last-resort", daemon=True).start()

    def disarm(self) -> None:
        """Let the process end by itself."""
        self._disarmed.set()

    def _watch(self, seconds: float) -> None:
        if self._disarmed.wait(seconds):
            return
        hanging = [thread.name for thread in threading.enumerate() if not thread.daemon]
        log.error("stopped", in_time=False, hanging=hanging)
        sys.stdout.flush()
        os._exit(1)
