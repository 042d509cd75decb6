"""Ids sort by the time they were made, so that what is inserted now comes next to what was inserted just before."""

from uuid import UUID

from oms_contracts.envelope import envelope
from oms_contracts.ids import new_id


def test_ids_sort_by_the_time_they_were_made() -> None:
    made = [new_id() for _ in range(1000)]
    assert made == sorted(made, key=lambda one: one.int >> 64)
    assert {one.version for one in made} == {7}
    assert len(set(made)) == 1000


def test_ids_of_events_sort_by_the_time_they_happened_at() -> None:
    events = [envelope("payment", "paymentCompletedEvent", "an order") for _ in range(1000)]
    made = [str(one["id"]) for one in events]
    assert [one[:18] for one in made] == sorted(one[:18] for one in made)
    assert {UUID(one).version for one in made} == {7}
