"""Processes die with hundreds of orders in flight: nothing is lost, and nothing happens twice.

Every test ends with the checker of the invariants; each service's own tests cover how it handles a fault.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from invariants import Answer, Sources, check_when_quiet
from support import load
from support.faults import doomed, kill_and_restart, out_of_order, patient

from oms_contracts.topics import SERVICES
from oms_platform.platform import Platform

pytestmark = pytest.mark.system

IN_FLIGHT = 300


def assert_sound(sources: Sources, outcome: load.Outcome, count: int = IN_FLIGHT) -> None:
    """Assert that all orders of a load are accepted, have ended, and fulfil the invariants."""
    assert len(outcome.answers) == count
    assert not outcome.wrong
    broken = check_when_quiet(sources, outcome.answers, within=60.0)
    assert not broken, "\n".join(map(str, broken[:20]))


def test_each_service_may_be_killed_with_300_orders_in_flight(platform: Platform, sources: Sources) -> None:
    answers: list[Answer] = []
    for name in SERVICES:
        outcome = load.post(
            platform.url,
            load.mix(IN_FLIGHT),
            spread=1.5,
            meanwhile=after(0.7, partial(kill_and_restart, platform, name)),
        )
        assert name == "order" or not outcome.refusals
        assert not outcome.wrong
        answers += outcome.answers
    for service in platform.services.values():
        service.await_ready()
    assert_sound(sources, load.Outcome(answers), IN_FLIGHT * len(SERVICES))


def test_a_process_that_was_killed_returns_to_its_group_as_the_same_member(
    platform: Platform, sources: Sources
) -> None:
    """Otherwise the group would wait for the old member, for as long as a session lasts, before it rebalances."""
    known = platform.folder / "data" / "payment.member"
    with patient(platform.services["payment"]):
        member = known.read_text()
        assert member
        kill_and_restart(platform, "payment")
        platform.services["payment"].await_ready()
        assert_sound(sources, load.post(platform.url, load.mix(10)), 10)
        assert known.read_text() == member


def test_a_relay_that_dies_between_publishing_and_deleting_repeats_harmlessly(
    platform: Platform, sources: Sources
) -> None:
    with doomed(platform, ("order", "payment", "inventory"), "sent") as replace_the_dead:
        outcome = load.post(platform.url, load.mix(IN_FLIGHT), spread=2.0, meanwhile=replace_the_dead)
    assert_sound(sources, outcome)


def test_a_consumer_that_dies_between_its_two_commits_repeats_harmlessly(platform: Platform, sources: Sources) -> None:
    with doomed(platform, SERVICES, "applied") as replace_the_dead:
        outcome = load.post(platform.url, load.mix(IN_FLIGHT), spread=2.0, meanwhile=replace_the_dead)
    assert_sound(sources, outcome)


def test_orders_are_accepted_while_kafka_is_away_for_10_seconds(platform: Platform, sources: Sources) -> None:
    with out_of_order(platform.kafka, 10.0):
        outcome = load.post(platform.url, load.mix(IN_FLIGHT), spread=6.0)
        assert not outcome.refusals
    assert_sound(sources, outcome)


def test_the_order_services_database_may_be_away_for_5_seconds(platform: Platform, sources: Sources) -> None:
    outcome = load.post(
        platform.url, load.mix(IN_FLIGHT), spread=6.0, meanwhile=after(1.0, lambda: absent(platform, "order"))
    )
    assert set(outcome.refusals) <= {503}
    assert_sound(sources, outcome)


def test_every_other_database_may_be_away_for_5_seconds(platform: Platform, sources: Sources) -> None:
    """They go down one after the other, each before the previous one is back."""

    def absent_in_turn() -> None:
        with ThreadPoolExecutor(len(SERVICES)) as pool:
            absences = [
                pool.submit(after(2.0 * number, partial(absent, platform, name)))
                for number, name in enumerate(SERVICES[1:])
            ]
        for absence in absences:
            absence.result()

    outcome = load.post(platform.url, load.mix(IN_FLIGHT), spread=10.0, meanwhile=absent_in_turn)
    assert not outcome.refusals
    assert_sound(sources, outcome)


def after(seconds: float, act: Callable[[], None]) -> Callable[[], None]:
    """Return a function that acts after this many seconds."""

    def wait_and_act() -> None:
        time.sleep(seconds)
        act()

    return wait_and_act


def absent(platform: Platform, name: str) -> None:
    """Stop a database for five seconds."""
    with out_of_order(platform.databases[name], 5.0):
        pass
