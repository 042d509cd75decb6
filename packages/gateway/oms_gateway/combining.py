"""Calls that come in at the same time share one execution: whoever finds nobody at work works for all who wait."""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class _Ticket(Generic[T, R]):
    """One call that waits: to be answered, or to be told that it is its turn to work."""

    def __init__(self, item: T) -> None:
        self.item = item
        self.called = threading.Event()
        self.answers: list[R] = []
        self.error: Exception | None = None

    @property
    def is_settled(self) -> bool:
        return bool(self.answers) or self.error is not None

    def answer(self) -> R:
        if self.error is not None:
            raise self.error
        return self.answers[0]


class Combiner(Generic[T, R]):
    """Gathers without waiting: a call that is alone goes through at once."""

    def __init__(self, work: Callable[[Sequence[T]], Sequence[R]]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._waiting: list[_Ticket[T, R]] = []
        self._busy = False

    def call(self, item: T) -> R:
        """The item's answer; an error of the shared execution is raised for all who shared it."""
        ticket: _Ticket[T, R] = _Ticket(item)
        with self._lock:
            self._waiting.append(ticket)
            mine = not self._busy
            self._busy = True
        if not mine:
            ticket.called.wait()
        if not ticket.is_settled:
            self._work_for_all()
        return ticket.answer()

    def _work_for_all(self) -> None:
        with self._lock:
            tickets, self._waiting = self._waiting, []
        try:
            for ticket, answer in zip(tickets, self._work([ticket.item for ticket in tickets]), strict=True):
                ticket.answers.append(answer)
        except Exception as error:  # noqa: BLE001 - each caller gets it
            for ticket in tickets:
                ticket.error = error
        for ticket in tickets:
            ticket.called.set()
        self._hand_over()

    def _hand_over(self) -> None:
        with self._lock:
            self._busy = bool(self._waiting)
            if self._busy:
                self._waiting[0].called.set()
