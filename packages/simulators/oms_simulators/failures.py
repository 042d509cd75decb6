"""Failures on demand: what a simulator does wrong, for whom and how often, until that is over or cleared.

They are kept in the memory of the simulator's process, so a restart clears them.
"""

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

GATEWAY = (
    "unavailable",
    "timeout",
    "lost-answer",
    "slow",
    "late",
    "429",
    "401",
    "refund-refused",
    "refund-pending",
    "refund-fails",
    "refund-fails-later",
    "chargeback",
)
MAIL = ("greylist", "4xx", "5xx", "drop", "slow", "drip")
SMS = ("429", "401", "500", "lost-answer", "refused", "slow", "drip")
KINDS: Mapping[str, tuple[str, ...]] = {"gateway": GATEWAY, "mail": MAIL, "sms": SMS}


class NewFailure(BaseModel):
    """A requested failure: `to` is one recipient, `times` how many calls fail, `seconds` how late a slow answer is."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    target: Literal["gateway", "mail", "sms"]
    kind: Annotated[str, Field(max_length=40)]
    to: Annotated[str | None, Field(max_length=200)] = None
    times: Annotated[int | None, Field(ge=1, le=1_000_000)] = None
    seconds: Annotated[float, Field(ge=0, le=600)] = 3.0


@dataclass
class Failure:
    """An active failure."""

    kind: str
    to: str | None
    times: int | None
    seconds: float


class Failures:
    """The failures of one target, at most one of each kind and recipient. Used by several threads."""

    def __init__(self, target: str) -> None:
        self.target = target
        self._on: dict[tuple[str, str | None], Failure] = {}
        self._met: set[str] = set()
        self._lock = threading.Lock()

    def set(self, new: NewFailure) -> None:
        """Turn a failure on. Raises ValueError if this target has none of that kind."""
        if new.target != self.target or new.kind not in KINDS[self.target]:
            raise ValueError(f"{self.target} can fail by: {', '.join(KINDS[self.target])}")
        with self._lock:
            self._on[new.kind, new.to] = Failure(new.kind, new.to, new.times, new.seconds)

    def clear(self) -> None:
        """Fail no more."""
        with self._lock:
            self._on.clear()
            self._met.clear()

    def shown(self) -> list[dict[str, Any]]:
        """Return the active failures."""
        with self._lock:
            return [{"target": self.target, **asdict(one)} for one in self._on.values()]

    def take(self, *kinds: str, to: str | None = None) -> Failure | None:
        """Return the failure of one of these kinds that applies to this call, if any, and count the call."""
        with self._lock:
            for key, failure in self._on.items():
                if failure.kind in kinds and failure.to in (None, to):
                    return self._counted(key, failure)
        return None

    def is_first(self, name: str) -> bool:
        """Whether this name occurs for the first time."""
        with self._lock:
            is_new = name not in self._met
            self._met.add(name)
            return is_new

    def _counted(self, key: tuple[str, str | None], failure: Failure) -> Failure:
        if failure.times is not None:
            failure.times -= 1
            if failure.times == 0:
                del self._on[key]
        return failure
