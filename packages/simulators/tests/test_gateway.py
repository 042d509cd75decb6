"""How a gateway behaves, whoever provides it; then what only the simulator does. On a real Postgres."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from uuid import uuid4

import psycopg
import pytest
from pydantic import SecretStr
from support.chassis import eventually
from support.network import proxy

from oms_gateway import (
    ABANDONED,
    Card,
    Charge,
    Gateway,
    GatewayClosed,
    GatewayUnavailable,
    OutcomeUnknown,
    Provider,
    RefundStatus,
    RequestRefused,
    Retryable,
    Tokeniser,
    charge_key,
    provider,
    refund_key,
)
from oms_gateway.contract import CALL_SECONDS
from oms_servers.postgres import NO_FSYNC, PostgresServer
from oms_servers.testing import free_port, memory_folder
from oms_simulators.payment import gateway as simulator
from oms_simulators.payment import ledger
from oms_simulators.payment.testcards import TEST_CARDS, Outcome


@dataclass(frozen=True)
class Where:
    database_url: str


PROVIDERS = ["simulator"]
NUMBERS = {test_card.outcome: number for number, test_card in TEST_CARDS.items()}
DECLINES = [outcome for outcome in Outcome if outcome.declined]


@pytest.fixture(params=PROVIDERS)
def made_by(request: pytest.FixtureRequest) -> Provider:
    return provider(request.param)


@pytest.fixture
def gateway(made_by: Provider, database_url: str) -> Iterator[Gateway]:
    gateway = made_by.gateway(Where(database_url))
    yield gateway
    gateway.close()


@pytest.fixture
def token(made_by: Provider, database_url: str) -> Callable[[Outcome], str]:
    desk: Tokeniser = made_by.tokeniser(Where(database_url))

    def of(outcome: Outcome) -> str:
        return desk.tokenise(Card(SecretStr(NUMBERS[outcome]), SecretStr("123"), "12/34")).token

    return of


@pytest.fixture
def order() -> str:
    return str(uuid4())


@pytest.fixture
def approved(token: Callable[[Outcome], str]) -> str:
    return token(Outcome.APPROVED)


def test_a_good_card_is_charged(gateway: Gateway, approved: str, order: str) -> None:
    charge = gateway.charge(charge_key(order), approved, 1250, "USD")
    assert (charge.approved, charge.amount, charge.currency, charge.reason) == (True, 1250, "USD", None)


@pytest.mark.parametrize("outcome", DECLINES)
def test_a_decline_is_an_outcome_with_a_reason(
    gateway: Gateway, token: Callable[[Outcome], str], order: str, outcome: Outcome
) -> None:
    charge = gateway.charge(charge_key(order), token(outcome), 1250, "USD")
    assert (charge.approved, charge.reason) == (False, outcome.value)


def test_the_same_key_charges_once_and_answers_the_same(gateway: Gateway, approved: str, order: str) -> None:
    charges = {gateway.charge(charge_key(order), approved, 1250, "USD") for _ in range(3)}
    assert len(charges) == 1


def test_calls_at_the_same_time_with_the_same_key_charge_once(gateway: Gateway, approved: str, order: str) -> None:
    gate = threading.Barrier(8)

    def charge(_: int) -> Charge:
        gate.wait(10)
        return gateway.charge(charge_key(order), approved, 1250, "USD")

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(charge, range(8)))) == 1


def test_a_decline_stays_a_decline_even_with_a_better_card(
    gateway: Gateway, token: Callable[[Outcome], str], approved: str, order: str
) -> None:
    gateway.charge(charge_key(order), token(Outcome.CARD_DECLINED), 1250, "USD")
    assert not gateway.charge(charge_key(order), approved, 1250, "USD").approved


@pytest.mark.parametrize(("amount", "currency"), [(1251, "USD"), (1250, "EUR")])
def test_a_key_cannot_be_used_for_another_amount(
    gateway: Gateway, approved: str, order: str, amount: int, currency: str
) -> None:
    gateway.charge(charge_key(order), approved, 1250, "USD")
    with pytest.raises(RequestRefused):
        gateway.charge(charge_key(order), approved, amount, currency)


@pytest.mark.parametrize("amount", [0, -1])
def test_nothing_cannot_be_charged(gateway: Gateway, approved: str, order: str, amount: int) -> None:
    with pytest.raises(RequestRefused):
        gateway.charge(charge_key(order), approved, amount, "USD")
    assert gateway.find(charge_key(order)) is None


@pytest.mark.parametrize("token", ["", "sim", "sim-visa", "sim-visa-gold-abc", "tok_visa", "pm-visa-approved-abc"])
def test_a_token_of_someone_else_is_refused(gateway: Gateway, token: str, order: str) -> None:
    with pytest.raises(RequestRefused):
        gateway.charge(charge_key(order), token, 1250, "USD")


def test_a_charge_is_found_by_its_key(gateway: Gateway, approved: str, order: str) -> None:
    assert gateway.find(charge_key(order)) is None
    charge = gateway.charge(charge_key(order), approved, 1250, "USD")
    assert gateway.find(charge_key(order)) == charge


def test_a_charge_outlives_the_process_that_made_it(
    gateway: Gateway, made_by: Provider, database_url: str, approved: str, order: str
) -> None:
    charge = gateway.charge(charge_key(order), approved, 1250, "USD")
    other = made_by.gateway(Where(database_url))
    assert other.find(charge_key(order)) == charge
    other.close()


def test_an_abandoned_key_can_never_be_charged(gateway: Gateway, approved: str, order: str) -> None:
    assert gateway.abandon(charge_key(order)).reason == ABANDONED
    late = gateway.charge(charge_key(order), approved, 1250, "USD")
    assert (late.approved, late.reason) == (False, ABANDONED)


def test_abandoning_a_charge_that_was_made_reports_it(gateway: Gateway, approved: str, order: str) -> None:
    charge = gateway.charge(charge_key(order), approved, 1250, "USD")
    assert gateway.abandon(charge_key(order)) == charge


def test_a_charge_and_its_abandonment_at_the_same_time_agree_on_one_outcome(gateway: Gateway, approved: str) -> None:
    for _ in range(20):
        key, gate = charge_key(str(uuid4())), threading.Barrier(2)

        def after_the_gate(call: Callable[[], Charge], gate: threading.Barrier = gate) -> Charge:
            gate.wait(10)
            return call()

        calls: list[Callable[[], Charge]] = [
            lambda key=key: gateway.charge(key, approved, 1250, "USD"),  # type: ignore[misc]
            lambda key=key: gateway.abandon(key),  # type: ignore[misc]
        ]
        with ThreadPoolExecutor(2) as pool:
            assert len(set(pool.map(after_the_gate, calls))) == 1


def test_a_refund_gives_the_money_back_once(gateway: Gateway, approved: str, order: str, database_url: str) -> None:
    charge = gateway.charge(charge_key(order), approved, 1250, "USD")
    refunds = {gateway.refund(refund_key(order), charge.id, 1250) for _ in range(3)}
    assert refunds == {gateway.find_refund(refund_key(order))}
    assert ledger.net_by_order(database_url) == {order: 0}


def test_a_refund_that_was_not_made_is_not_found(gateway: Gateway, order: str) -> None:
    assert gateway.find_refund(refund_key(order)) is None


def test_the_refunds_of_a_charge_are_found_whoever_made_them(gateway: Gateway, approved: str, order: str) -> None:
    charge = gateway.charge(charge_key(order), approved, 1250, "USD")
    assert list(gateway.refunds_of(charge.id)) == []
    refund = gateway.refund("by-hand", charge.id, 1250)
    assert list(gateway.refunds_of(charge.id)) == [refund]


def test_a_charge_cannot_be_refunded_under_two_keys(gateway: Gateway, approved: str, order: str) -> None:
    charge = gateway.charge(charge_key(order), approved, 1250, "USD")
    gateway.refund(refund_key(order), charge.id, 1250)
    with pytest.raises(RequestRefused):
        gateway.refund("another-key", charge.id, 1250)


def test_a_charge_can_be_refunded_in_parts_up_to_its_amount_also_at_once(
    gateway: Gateway, approved: str, order: str
) -> None:
    charge = gateway.charge(charge_key(order), approved, 1250, "USD")

    def give_back(part: int) -> bool:
        try:
            return gateway.refund(f"{order}:part-{part}", charge.id, 500).amount == 500
        except RequestRefused:
            return False

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(give_back, range(4))) == [False, False, True, True]
    assert gateway.refund(f"{order}:rest", charge.id, 250).amount == 250
    assert sum(one.amount for one in gateway.refunds_of(charge.id)) == 1250


def test_a_refund_key_cannot_be_used_for_another_charge(gateway: Gateway, approved: str, order: str) -> None:
    charges = [gateway.charge(charge_key(f"{order}{n}"), approved, 1250, "USD") for n in range(2)]
    gateway.refund(refund_key(order), charges[0].id, 1250)
    with pytest.raises(RequestRefused):
        gateway.refund(refund_key(order), charges[1].id, 1250)


@pytest.mark.parametrize("amount", [1251, 0, -5])
def test_no_more_than_the_charge_is_refunded_and_no_less_than_something(
    gateway: Gateway, approved: str, order: str, amount: int
) -> None:
    charge = gateway.charge(charge_key(order), approved, 1250, "USD")
    with pytest.raises(RequestRefused):
        gateway.refund(refund_key(order), charge.id, amount)


def test_a_decline_cannot_be_refunded(gateway: Gateway, token: Callable[[Outcome], str], order: str) -> None:
    charge = gateway.charge(charge_key(order), token(Outcome.CARD_DECLINED), 1250, "USD")
    with pytest.raises(RequestRefused):
        gateway.refund(refund_key(order), charge.id, 1250)


def test_a_charge_that_nobody_made_cannot_be_refunded(gateway: Gateway, order: str) -> None:
    with pytest.raises(RequestRefused):
        gateway.refund(refund_key(order), "ch-nobody", 1250)


@pytest.mark.parametrize(
    ("outcome", "end"),
    [(Outcome.REFUND_PENDING, RefundStatus.SUCCEEDED), (Outcome.REFUND_FAILS, RefundStatus.FAILED)],
)
def test_a_refund_may_end_later_than_it_is_taken(
    gateway: Gateway,
    token: Callable[[Outcome], str],
    order: str,
    outcome: Outcome,
    end: RefundStatus,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(simulator, "REFUND_SECONDS", 1.0)
    charge = gateway.charge(charge_key(order), token(outcome), 1250, "USD")
    taken = gateway.refund(refund_key(order), charge.id, 1250)
    assert taken.status is RefundStatus.PENDING
    with pytest.raises(RequestRefused):
        gateway.refund("another-key", charge.id, 1)
    ended = eventually(lambda: (found := gateway.find_refund(refund_key(order))) and found.status is end and found)
    assert ended == replace(taken, status=end)
    assert list(gateway.refunds_of(charge.id)) == [ended]
    assert gateway.refund(refund_key(order), charge.id, 1250) == ended


def test_a_refund_that_was_made_before_the_clock_was_put_back_has_come_to_its_end(
    gateway: Gateway, token: Callable[[Outcome], str], order: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulator, "REFUND_SECONDS", 3600.0)
    charge = gateway.charge(charge_key(order), token(Outcome.REFUND_PENDING), 1250, "USD")
    assert gateway.refund(refund_key(order), charge.id, 1250).status is RefundStatus.PENDING
    with psycopg.connect(database_url) as connection:
        hours = "interval '2 hours'"
        connection.execute(
            f"UPDATE gateway_simulator.refund SET made_at = made_at + {hours}, ends_at = ends_at + {hours}"
        )
    assert gateway.refund(refund_key(order), charge.id, 1250).status is RefundStatus.SUCCEEDED


def test_a_refund_that_failed_leaves_the_charge_to_be_refunded_under_another_key(
    gateway: Gateway, token: Callable[[Outcome], str], order: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulator, "REFUND_SECONDS", 0.0)
    charge = gateway.charge(charge_key(order), token(Outcome.REFUND_FAILS), 1250, "USD")
    assert gateway.refund(refund_key(order), charge.id, 1250).status is RefundStatus.FAILED
    assert ledger.net_by_order(database_url) == {order: 1250}
    assert gateway.refund(f"{refund_key(order)}~2", charge.id, 1250).amount == 1250


def test_a_refund_that_succeeded_may_fail_later_and_is_listed_with_those_that_failed(
    gateway: Gateway, token: Callable[[Outcome], str], order: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulator, "REFUND_SECONDS", 1.0)
    charge = gateway.charge(charge_key(order), token(Outcome.REFUND_FAILS_LATER), 1250, "USD")
    made = gateway.refund(refund_key(order), charge.id, 1250)
    assert made.status is RefundStatus.SUCCEEDED
    assert list(gateway.failed_refunds(30.0)) == []
    (failed,) = eventually(lambda: gateway.failed_refunds(30.0))
    assert (failed.id, failed.key, failed.charge_id) == (made.id, charge_key(order), charge.id)
    assert (failed.amount, failed.currency) == (1250, "USD")
    assert gateway.find_refund(refund_key(order)) == replace(made, status=RefundStatus.FAILED)
    assert ledger.net_by_order(database_url) == {order: 1250}
    assert gateway.refund(f"{refund_key(order)}~2", charge.id, 1250).amount == 1250


def test_a_charge_that_the_customer_s_bank_took_back_is_not_refunded_too(
    gateway: Gateway, token: Callable[[Outcome], str], order: str
) -> None:
    charge = gateway.charge(charge_key(order), token(Outcome.DISPUTED), 1250, "USD")
    assert charge.approved
    assert gateway.find(charge_key(order)) == charge
    (dispute,) = gateway.disputes(1.0)
    assert (dispute.key, dispute.charge_id, dispute.amount) == (charge_key(order), charge.id, 1250)
    with pytest.raises(RequestRefused):
        gateway.refund(refund_key(order), charge.id, 1250)


def test_a_busy_gateway_says_for_how_long_and_charges_then(
    gateway: Gateway, token: Callable[[Outcome], str], order: str
) -> None:
    busy = token(Outcome.BUSY)
    with pytest.raises(GatewayClosed) as closed:
        gateway.charge(charge_key(order), busy, 1250, "USD")
    assert (closed.value.answer, closed.value.seconds) == (429, simulator.BUSY_SECONDS)
    assert gateway.find(charge_key(order)) is None
    assert gateway.charge(charge_key(order), busy, 1250, "USD").approved


def test_a_call_whose_answer_drips_ends_in_time(approved: str, database_url: str) -> None:
    """A byte now and then, so that no single read takes long."""
    with proxy(database_url) as network:
        far = provider("simulator").gateway(Where(network.url(database_url)))
        far.find("warm")
        network.throttle(2.0)
        began = time.monotonic()
        with pytest.raises(Retryable):
            far.charge("k:charge", approved, 1, "USD")
        assert time.monotonic() - began < CALL_SECONDS
        network.heal()
        far.close()


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


def test_nothing_connects_before_the_first_call() -> None:
    provider("simulator").gateway(Where("postgresql://nobody@127.0.0.1:1/nowhere")).close()


def test_a_ledger_that_cannot_be_reached_is_an_unavailable_gateway(approved: str) -> None:
    """All calls at once: each waits for a connection as long as it may."""
    away = provider("simulator").gateway(Where("postgresql://nobody@127.0.0.1:1/nowhere"))
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


def test_a_ledger_that_falls_silent_is_given_up_and_the_next_call_goes_on(approved: str, database_url: str) -> None:
    with proxy(database_url) as network:
        far = provider("simulator").gateway(Where(network.url(database_url)))
        far.find("warm")
        network.mute()
        with pytest.raises(OutcomeUnknown):
            far.charge("k:charge", approved, 1, "USD")
        assert far.find("k:charge") is not None
        far.close()


def test_a_charge_that_was_answered_is_there_after_the_ledgers_server_has_died(made_by: Provider) -> None:
    with memory_folder() as folder, PostgresServer(folder / "pg", free_port(), settings=NO_FSYNC) as server:
        where = Where(server.url)
        card = Card(SecretStr(NUMBERS[Outcome.APPROVED]), SecretStr("123"), "12/34")
        token = made_by.tokeniser(where).tokenise(card).token
        gateway = made_by.gateway(where)
        charge = gateway.charge("o:charge", token, 5, "USD")
        server.kill()
        server.start()
        server.await_ready()
        assert eventually(lambda: found(gateway, "o:charge")) == charge
        gateway.close()


def found(gateway: Gateway, key: str) -> Charge | None:
    try:
        return gateway.find(key)
    except GatewayUnavailable:
        return None


def test_gateways_that_start_at_the_same_time_share_one_ledger(database_url: str, approved: str) -> None:
    gateways = [provider("simulator").gateway(Where(database_url)) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda gateway: gateway.charge("o:charge", approved, 5, "USD"), gateways))
    assert len(found) == 1
    for gateway in gateways:
        gateway.close()


def test_the_ledger_of_a_database_without_one_is_empty(database_url: str) -> None:
    assert ledger.charges_by_order(database_url) == {}
    assert ledger.refunds_by_order(database_url) == {}
    assert ledger.net_by_order(database_url) == {}


def test_the_ledger_shows_a_double_charge_under_whatever_key(
    gateway: Gateway, approved: str, order: str, database_url: str
) -> None:
    for key in (charge_key(order), f"{charge_key(order)}:again"):
        gateway.charge(key, approved, 1250, "USD")
    assert len(ledger.charges_by_order(database_url)[order]) == 2
    assert ledger.net_by_order(database_url) == {order: 2500}


def test_the_ledger_holds_no_token(gateway: Gateway, approved: str, order: str, database_url: str) -> None:
    gateway.charge(charge_key(order), approved, 1250, "USD")
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT charge::text FROM gateway_simulator.charge").fetchall()
    assert approved not in str(rows)


def test_a_gateway_of_an_unknown_name_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ValueError, match="simulator"):
        provider("strype").gateway(Where(""))
