"""Rate limits: the number of requests that each caller may send in a window of time, at each replica.

Answers say how many are left, in the headers of draft-ietf-httpapi-ratelimit-headers.
"""

import math
import time
from dataclasses import dataclass

from oms_chassis.http.identity.bounded import Bounded
from oms_chassis.http.identity.callers import Caller
from oms_chassis.http.identity.problems import TooManyRequests
from oms_chassis.quotas import Quota

REMEMBERED = 10_000  # callers; one that was forgotten starts over
Headers = list[tuple[bytes, bytes]]


@dataclass(slots=True)
class _Window:
    ends: float
    used: int = 0


class RateLimit:
    """Counts the requests of each caller, in windows that begin with the caller's first request."""

    def __init__(self, quota: Quota) -> None:
        self._quota = quota
        self._windows: Bounded[_Window] = Bounded(REMEMBERED)
        self._policy = f'"caller";q={quota.count};w={quota.seconds}'

    def take(self, caller: Caller) -> Headers:
        """Count a request, and return the headers of its answer. Raises TooManyRequests."""
        window = self._window(caller.namespace)
        window.used += 1
        left, seconds = self._quota.count - window.used, math.ceil(window.ends - time.monotonic())
        limit = f'"caller";r={max(0, left)};t={seconds}'
        if left < 0:
            headers = {"Retry-After": str(seconds), "RateLimit-Policy": self._policy, "RateLimit": limit}
            raise TooManyRequests(headers=headers)
        return [(b"ratelimit-policy", self._policy.encode()), (b"ratelimit", limit.encode())]

    def _window(self, name: str) -> _Window:
        now, window = time.monotonic(), self._windows.get(name)
        if window is None or window.ends <= now:
            window = _Window(now + self._quota.seconds)
            self._windows.put(name, window)
        return window
