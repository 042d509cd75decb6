"""A gateway that is busy, slow, out of reach or loses its answers, and what a caller knows then."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from support.chassis import eventually
from support.network import proxy

from oms_gateway import (
    Charge,
    Gateway,
    GatewayClosed,
    GatewayUnavailable,
    OutcomeUnknown,
    Retryable,
    charge_key,
    provider,
)
from oms_gateway.contract import CALL_SECONDS
from oms_servers.postgres import NO_FSYNC, PostgresServer
from oms_servers.testing import free_port, memory_folder
from oms_simulators.payment import gateway as simulator
from oms_simulators.payment import ledger
from oms_simulators.payment.testcards import Outcome

NOWHERE = "postgresql://nobody@127.0.0.1:1/nowhere"


def test_a_busy_gateway_says_for_how_long_and_charges_then(
    gateway: Gateway, token: Callable[[Outcome], str], order: str
) -> None:
    busy = token(Outcome.BUSY)
    with pytest.raises(GatewayClosed) as closed:
        gateway.charge(charge_key(order), busy, 1250, "USD")
    assert (closed.value.answer, closed.value.seconds) == (429, simulator.BUSY_SECONDS)
    assert gateway.find(charge_key(order)) is None
    assert gateway.charge(charge_key(order), busy, 1250, "USD").approved


def test_a_call_whose_answer_drips_ends_in_time(
    gateway_at: Callable[[str], Gateway], approved: str, database_url: str
) -> None:
    """A byte now and then, so that no single read takes long."""
    with proxy(database_url) as network:
        far = gateway_at(network.url(database_url))
        far.find("warm")
        network.throttle(2.0)
        began = time.monotonic()
        with pytest.raises(Retryable):
            far.charge("k:charge", approved, 1, "USD")
        assert time.monotonic() - began < CALL_SECONDS
        network.heal()


def test_a_lost_answer_leaves_one_charge_that_can_be_found(
    gateway: Gateway, token: Callable[[Outcome], str], order: str, database_url: str
) -> None:
    with pytest.raises(OutcomeUnknown):
        gateway.charge(charge_key(order), token(Outcome.LOST_ANSWER), 1250, "USD")
    found = gateway.find(charge_key(order))
    assert found is not None
    assert found.approved
    assert gateway.charge(charge_key(order), token(Outcome.LOST_ANSWER), 1250, "USD") == found
    assert ledger.charges_by_order(database_url) == {order: [found]}


def test_a_flaky_card_fails_once_and_then_works(gateway: Gateway, token: Callable[[Outcome], str], order: str) -> None:
    flaky = token(Outcome.FLAKY)
    with pytest.raises(GatewayUnavailable):
        gateway.charge(charge_key(order), flaky, 1250, "USD")
    assert gateway.find(charge_key(order)) is None
    assert gateway.charge(charge_key(order), flaky, 1250, "USD").approved


def test_an_unavailable_card_is_never_charged(gateway: Gateway, token: Callable[[Outcome], str], order: str) -> None:
    for _ in range(3):
        with pytest.raises(GatewayUnavailable):
            gateway.charge(charge_key(order), token(Outcome.UNAVAILABLE), 1250, "USD")
    assert gateway.find(charge_key(order)) is None


def test_a_slow_card_is_charged_in_the_end(
    gateway: Gateway, token: Callable[[Outcome], str], order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulator, "SLOW_SECONDS", 0.01)
    assert gateway.charge(charge_key(order), token(Outcome.SLOW), 1250, "USD").approved


def test_nothing_connects_before_the_first_call(gateway_at: Callable[[str], Gateway]) -> None:
    gateway_at(NOWHERE)


def test_a_ledger_that_cannot_be_reached_is_an_unavailable_gateway(
    gateway_at: Callable[[str], Gateway], approved: str
) -> None:
    """All calls at once: each waits for a connection as long as it may."""
    away = gateway_at(NOWHERE)
    calls: dict[str, Callable[[], object]] = {
        "charge": lambda: away.charge("k", approved, 1, "USD"),
        "find": lambda: away.find("k"),
        "refund": lambda: away.refund("k", "ch-x", 1),
        "find_refund": lambda: away.find_refund("k"),
        "refunds_of": lambda: away.refunds_of("ch-x"),
        "abandon": lambda: away.abandon("k"),
        "disputes": lambda: away.disputes(1.0),
        "failed_refunds": lambda: away.failed_refunds(1.0),
    }
    with ThreadPoolExecutor(len(calls)) as pool:
        made = {name: pool.submit(call) for name, call in calls.items()}
    errors = {name: type(one.exception()) for name, one in made.items()}
    assert errors == dict.fromkeys(calls, GatewayUnavailable)


def test_a_gateway_that_was_closed_is_an_unavailable_one(gateway: Gateway) -> None:
    """As for a call that is still under way when the service ends."""
    gateway.find("warm")
    gateway.close()
    with pytest.raises(GatewayUnavailable):
        gateway.find("key")


def end_every_other_session(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_connection_lost_during_a_charge_leaves_its_outcome_unknown(
    gateway: Gateway, approved: str, order: str, database_url: str
) -> None:
    gateway.find("warm")
    end_every_other_session(database_url)
    with pytest.raises(OutcomeUnknown):
        gateway.charge(charge_key(order), approved, 1250, "USD")
    assert gateway.charge(charge_key(order), approved, 1250, "USD").approved


def test_a_connection_lost_during_a_question_is_an_unavailable_gateway(gateway: Gateway, database_url: str) -> None:
    gateway.find("warm")
    end_every_other_session(database_url)
    with pytest.raises(GatewayUnavailable):
        gateway.find("key")
    assert gateway.find("key") is None


def test_after_a_lost_server_no_dead_connection_is_used_again(
    gateway: Gateway, approved: str, database_url: str
) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: gateway.charge(f"{n}:charge", approved, 1, "USD"), range(40)))
    end_every_other_session(database_url)
    with pytest.raises(GatewayUnavailable):
        gateway.find("key")
    for number in range(8):
        assert gateway.find(f"{number}:charge") is not None


def test_a_ledger_that_falls_silent_is_given_up_and_the_next_call_goes_on(
    gateway_at: Callable[[str], Gateway], approved: str, database_url: str
) -> None:
    with proxy(database_url) as network:
        far = gateway_at(network.url(database_url))
        far.find("warm")
        network.mute()
        with pytest.raises(OutcomeUnknown):
            far.charge("k:charge", approved, 1, "USD")
        assert far.find("k:charge") is not None


def test_a_charge_that_was_answered_is_there_after_the_ledgers_server_has_died(
    gateway_at: Callable[[str], Gateway], approved: str
) -> None:
    with memory_folder() as folder, PostgresServer(folder / "pg", free_port(), settings=NO_FSYNC) as server:
        gateway = gateway_at(server.url)
        charge = gateway.charge("o:charge", approved, 5, "USD")
        server.kill()
        server.start()
        server.await_ready()
        assert eventually(lambda: found(gateway, "o:charge")) == charge


def found(gateway: Gateway, key: str) -> Charge | None:
    try:
        return gateway.find(key)
    except GatewayUnavailable:
        return None


def test_a_gateway_of_an_unknown_name_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ValueError, match="simulator"):
        provider("strype")
