"""Follows an order's timeline up to the order's end. If a stream ends before, because the order service is drained or
dies, another one continues it."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx2

from oms_cli import unanswered
from oms_cli.answers import Refused, streamed, too_slow

PAUSE_SECONDS = 0.5  # before the next stream is requested
SILENCE_SECONDS = 60.0  # without a heartbeat for so long, the server is gone, even if the connection is open
TERMINAL = ("CONFIRMED", "CANCELLED")
_FOR_NOW = 429  # and whatever is 500 and more


class Timeline:
    """One order's timeline, and how far it was followed."""

    def __init__(self, http: httpx2.Client, service: str, path: str) -> None:
        self._http, self._service, self._url = http, service, f"{service}{path}"
        self._has_begun = self._has_ended = False
        self._seen = ""  # the last event's id
        self._pending: set[str] = set()  # refunds under way

    def follow(self, order: str, within: float) -> Iterator[dict[str, Any]]:
        """Yield the order's steps, up to its end. Raises TooSlow if that takes more than `within` seconds."""
        deadline = time.monotonic() + within
        while not self._has_ended:
            for step in self._stretch(deadline):
                yield step
                self._note(step)
            if not self._has_ended:
                self._pause(order, within, deadline)

    def _pause(self, order: str, within: float, deadline: float) -> None:
        if time.monotonic() + PAUSE_SECONDS > deadline:
            raise too_slow(order, within)
        time.sleep(PAUSE_SECONDS)

    def _stretch(self, deadline: float) -> Iterator[dict[str, Any]]:
        """Yield the steps of one stream. How it ends does not matter once there was a step."""
        try:
            yield from self._stream(deadline)
        except httpx2.ReadTimeout:
            pass
        except unanswered.FAILURES as error:
            if not self._has_begun:
                where = unanswered.unreachable(self._service)
                raise unanswered.of(error, self._service, where, only_looks=True) from error
        except Refused as refused:
            if not (self._has_begun and (refused.status == _FOR_NOW or refused.status >= 500)):
                raise

    def _stream(self, deadline: float) -> Iterator[dict[str, Any]]:
        left = max(0.1, deadline - time.monotonic())
        timeout = httpx2.Timeout(min(10.0, left), read=min(SILENCE_SECONDS, left))
        headers = {"Last-Event-ID": self._seen} if self._seen else {}
        with self._http.stream("GET", self._url, headers=headers, timeout=timeout) as response:
            self._has_ended = streamed(response).status_code == 204
            self._has_begun, position = True, self._seen
            for line in response.iter_lines():
                if line.startswith("id:"):
                    position = line[3:].strip()
                elif line.startswith("data:"):
                    yield json.loads(line[5:])
                    self._seen = position
                if time.monotonic() > deadline:
                    return

    def _note(self, step: dict[str, Any]) -> None:
        """Note whether this step may be the last one: of the order, and of each of its refunds."""
        if (refund := step.get("refundId")) is not None:
            change = self._pending.add if step.get("refundStatus") == "PENDING" else self._pending.discard
            change(refund)
        self._has_ended = step["status"] in TERMINAL and not self._pending
