"""A temporary fault of the gateway excuses failures of calls under way then, and nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from chaos import kinds
from chaos.excuses import Excuses, Happened
from chaos.rounds import Faults, Kind
from chaos.schedule import Planned

BEGAN = datetime(2026, 11, 27, 12, tzinfo=UTC)
ENDED = BEGAN + timedelta(seconds=5)


def happened(target: str, kind: str = "gateway fails") -> Happened:
    return Happened(Planned(kind, target, 0.0, 5.0), BEGAN, ENDED)


@pytest.mark.parametrize(
    ("seconds", "is_excused"), [(-600, False), (-20, True), (0, True), (5, True), (30, True), (300, False)]
)
def test_only_orders_under_way_while_the_gateway_failed_are_excused(seconds: int, is_excused: bool) -> None:
    excuses, then = Excuses([happened("timeout")], [happened("refund-fails")]), BEGAN + timedelta(seconds=seconds)
    assert excuses.charge(then) is is_excused
    assert excuses.refund((then, then)) is is_excused


def test_a_refund_is_excused_if_it_was_requested_from_long_before_until_long_after() -> None:
    excuses = Excuses(refunds=[happened("refund-fails")])
    assert excuses.refund((BEGAN - timedelta(hours=1), ENDED + timedelta(hours=1)))
    assert excuses.refund(None)  # its time is unknown
    assert not Excuses().refund(None)


def test_the_gateway_fails_for_charges_or_for_refunds() -> None:
    late, fails = happened("late"), happened("refund-fails")
    excuses = kinds.excuses([late, fails, happened("slow"), happened("lost-answer", "SMS provider fails")])
    assert excuses == Excuses([late], [fails])


def test_a_fault_is_recorded_with_its_time() -> None:
    within: list[datetime] = []

    @contextmanager
    def block(_: None, _target: str) -> Iterator[None]:
        within.append(datetime.now(UTC))
        yield
        within.append(datetime.now(UTC))

    faults = Faults(None, {"a fault": Kind(("there",), block)})
    planned = Planned("a fault", "there", 0.0, 0.01)
    faults.survive([(planned,)], lambda: 0.0, lambda _: None, 1.0)
    (one,) = faults.happened
    assert one.planned == planned
    assert one.began <= within[0] <= within[1] <= one.ended
