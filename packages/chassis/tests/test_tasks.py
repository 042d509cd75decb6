"""Tasks whose decisions depend on unread events wait until everything is read."""

from threading import Event

from support.chassis import eventually, running

from oms_chassis.runtime.threads import Periodic, Task


def test_a_task_is_passed_over_until_the_consumer_has_kept_up_for_long_enough() -> None:
    calls: list[float] = []
    seconds = [3.0]
    with running(Periodic(Task("t", lambda: calls.append(seconds[0]), 0.01, kept_up=5.0), kept_up=lambda: seconds[0])):
        with running(Periodic(Task("other", lambda: calls.append(0.0), 0.01), kept_up=lambda: seconds[0])):
            eventually(lambda: len(calls) > 2)  # which asks for nothing
        assert set(calls) == {0.0}
        seconds[0] = 6.0
        eventually(lambda: 6.0 in calls)


def test_consecutive_failures_of_a_task_are_counted() -> None:
    is_well = Event()

    def call() -> None:
        if not is_well.is_set():
            raise LookupError

    with running(task := Periodic(Task("t", call, 0.01))):
        eventually(lambda: task.failures > 2)
        is_well.set()
        eventually(lambda: task.failures == 0)
