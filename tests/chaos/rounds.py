"""Lets faults happen round by round, on any kind of system."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Generic, TypeVar

from chaos.excuses import Happened
from chaos.report import Recovery
from chaos.schedule import Planned, Round
from oms_servers.errors import LocalError

System = TypeVar("System")


@dataclass(frozen=True)
class Kind(Generic[System]):
    """A kind of fault: its targets, how to cause it, what else it needs for itself, how many dead letters it makes, and
    why it is impossible here."""

    targets: Sequence[str]
    block: Callable[[System, str], AbstractContextManager[None]]
    also: frozenset[str] = frozenset()
    letters: Callable[[], Mapping[str, int]] = dict
    obstacle: Callable[[], str | None] = lambda: None


@dataclass(frozen=True)
class Faults(Generic[System]):
    """The system on which the faults of a schedule are inflicted, and its kinds of faults. `name` returns a fault's
    name in a report, and `happened` are those that occurred."""

    system: System
    kinds: Mapping[str, Kind[System]]
    name: Callable[[Planned], str] = lambda planned: planned.kind
    happened: list[Happened] = field(default_factory=list)

    def survive(
        self, rounds: Sequence[Round], recovery: Callable[[], float], say: Callable[[str], None], longest: float
    ) -> list[Recovery]:
        """Let the faults of all rounds happen, and wait for the recovery from each, which returns its seconds. A round
        without a recovery (which raises an error) counts as `longest`, and is the last one."""
        survived: list[Recovery] = []
        for number, planned in enumerate(rounds, 1):
            names = ", ".join(map(self._said, planned))
            faults = [self.name(one) for one in planned if not self._obstacle(one)]
            try:
                self._suffer(planned)
                survived.append(Recovery(faults, round(recovery(), 2)))
            except (AssertionError, LocalError) as error:
                say(f"round {number} of {len(rounds)}: {names}; no recovery: {error}")
                return [*survived, Recovery(faults, longest)]
            say(f"round {number} of {len(rounds)}: {names}; recovered in {survived[-1].seconds} s")
        return survived

    def _suffer(self, planned: Round) -> None:
        """Let the faults of a round happen, each at its time, and return when all are over."""
        with ThreadPoolExecutor(len(planned)) as pool:
            happening = [pool.submit(self._happen, one) for one in planned]
        for one in happening:
            one.result()

    def _happen(self, planned: Planned) -> None:
        if self._obstacle(planned):
            return
        time.sleep(planned.begins)
        began = datetime.now(UTC)
        try:
            with self.kinds[planned.kind].block(self.system, planned.target):
                time.sleep(planned.lasts)
        finally:
            self.happened.append(Happened(planned, began, datetime.now(UTC)))

    def _obstacle(self, planned: Planned) -> str | None:
        return self.kinds[planned.kind].obstacle()

    def _said(self, planned: Planned) -> str:
        obstacle = self._obstacle(planned)
        return f"{planned.kind} ({planned.target})" + (f", skipped: {obstacle}" if obstacle else "")
