"""How a gateway behaves, whoever provides it; then what only the simulator does. On a real Postgres."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest
from pydantic import SecretStr
from support.network import proxy

from oms_gateway import (
    ABANDONED,
    Card,
    Charge,
    Gateway,
    GatewayUnavailable,
    OutcomeUnknown,
    RequestRefused,
    Tokeniser,
    charge_key,
    gateway,
    ledger,
    refund_key,
    simulator,
    tokeniser,
)
from oms_gateway.testcards import TEST_CARDS, Outcome

PROVIDERS = ["simulator"]
NUMBERS = {test_card.outcome: number for number, test_card in TEST_CARDS.items()}
DECLINES = [outcome for outcome in Outcome if outcome.declined]


@pytest.fixture(params=PROVIDERS)
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def bank(provider: str, database_url: str) -> Iterator[Gateway]:
    bank = gateway(provider, database_url)
    yield bank
    bank.close()


@pytest.fixture
def token(provider: str) -> Callable[[Outcome], str]:
    desk: Tokeniser = tokeniser(provider)

    def of(outcome: Outcome) -> str:
        return desk.tokenise(Card(SecretStr(NUMBERS[outcome]), SecretStr("123"), "12/34")).token

    return of


@pytest.fixture
def order() -> str:
    return str(uuid4())


@pytest.fixture
def approved(token: Callable[[Outcome], str]) -> str:
    return token(Outcome.APPROVED)


def test_a_good_card_is_charged(bank: Gateway, approved: str, order: str) -> None:
    charge = bank.charge(charge_key(order), approved, 1250, "USD")
    assert (charge.approved, charge.amount, charge.currency, charge.reason) == (True, 1250, "USD", None)


@pytest.mark.parametrize("outcome", DECLINES)
def test_a_decline_is_an_outcome_with_a_reason(
    bank: Gateway, token: Callable[[Outcome], str], order: str, outcome: Outcome
) -> None:
    charge = bank.charge(charge_key(order), token(outcome), 1250, "USD")
    assert (charge.approved, charge.reason) == (False, outcome.value)


def test_the_same_key_charges_once_and_answers_the_same(bank: Gateway, approved: str, order: str) -> None:
    charges = {bank.charge(charge_key(order), approved, 1250, "USD") for _ in range(3)}
    assert len(charges) == 1


def test_calls_at_the_same_time_with_the_same_key_charge_once(bank: Gateway, approved: str, order: str) -> None:
    gate = threading.Barrier(8)

    def charge(_: int) -> Charge:
        gate.wait(10)
        return bank.charge(charge_key(order), approved, 1250, "USD")

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(charge, range(8)))) == 1


def test_a_decline_stays_a_decline_even_with_a_better_card(
    bank: Gateway, token: Callable[[Outcome], str], approved: str, order: str
) -> None:
    bank.charge(charge_key(order), token(Outcome.CARD_DECLINED), 1250, "USD")
    assert not bank.charge(charge_key(order), approved, 1250, "USD").approved


@pytest.mark.parametrize(("amount", "currency"), [(1251, "USD"), (1250, "EUR")])
def test_a_key_cannot_be_used_for_another_amount(
    bank: Gateway, approved: str, order: str, amount: int, currency: str
) -> None:
    bank.charge(charge_key(order), approved, 1250, "USD")
    with pytest.raises(RequestRefused):
        bank.charge(charge_key(order), approved, amount, currency)


@pytest.mark.parametrize("amount", [0, -1])
def test_nothing_cannot_be_charged(bank: Gateway, approved: str, order: str, amount: int) -> None:
    with pytest.raises(RequestRefused):
        bank.charge(charge_key(order), approved, amount, "USD")
    assert bank.find(charge_key(order)) is None


@pytest.mark.parametrize("token", ["", "sim", "sim-visa", "sim-visa-gold-abc", "tok_visa", "pm-visa-approved-abc"])
def test_a_token_of_someone_else_is_refused(bank: Gateway, token: str, order: str) -> None:
    with pytest.raises(RequestRefused):
        bank.charge(charge_key(order), token, 1250, "USD")


def test_a_charge_is_found_by_its_key(bank: Gateway, approved: str, order: str) -> None:
    assert bank.find(charge_key(order)) is None
    charge = bank.charge(charge_key(order), approved, 1250, "USD")
    assert bank.find(charge_key(order)) == charge


def test_a_charge_outlives_the_process_that_made_it(
    bank: Gateway, provider: str, database_url: str, approved: str, order: str
) -> None:
    charge = bank.charge(charge_key(order), approved, 1250, "USD")
    other = gateway(provider, database_url)
    assert other.find(charge_key(order)) == charge
    other.close()


def test_an_abandoned_key_can_never_be_charged(bank: Gateway, approved: str, order: str) -> None:
    assert bank.abandon(charge_key(order)).reason == ABANDONED
    late = bank.charge(charge_key(order), approved, 1250, "USD")
    assert (late.approved, late.reason) == (False, ABANDONED)


def test_abandoning_a_charge_that_was_made_tells_of_it(bank: Gateway, approved: str, order: str) -> None:
    charge = bank.charge(charge_key(order), approved, 1250, "USD")
    assert bank.abandon(charge_key(order)) == charge


def test_a_charge_and_its_abandonment_at_the_same_time_agree_on_one_outcome(bank: Gateway, approved: str) -> None:
    for _ in range(20):
        key, gate = charge_key(str(uuid4())), threading.Barrier(2)

        def after_the_gate(call: Callable[[], Charge], gate: threading.Barrier = gate) -> Charge:
            gate.wait(10)
            return call()

        calls: list[Callable[[], Charge]] = [
            lambda key=key: bank.charge(key, approved, 1250, "USD"),  # type: ignore[misc]
            lambda key=key: bank.abandon(key),  # type: ignore[misc]
        ]
        with ThreadPoolExecutor(2) as pool:
            assert len(set(pool.map(after_the_gate, calls))) == 1


def test_a_refund_gives_the_money_back_once(bank: Gateway, approved: str, order: str, database_url: str) -> None:
    charge = bank.charge(charge_key(order), approved, 1250, "USD")
    refunds = {bank.refund(refund_key(order), charge.id, 1250) for _ in range(3)}
    assert refunds == {bank.find_refund(refund_key(order))}
    assert ledger.net_by_order(database_url) == {order: 0}


def test_a_refund_that_was_not_made_is_not_found(bank: Gateway, order: str) -> None:
    assert bank.find_refund(refund_key(order)) is None


def test_a_charge_cannot_be_refunded_under_two_keys(bank: Gateway, approved: str, order: str) -> None:
    charge = bank.charge(charge_key(order), approved, 1250, "USD")
    bank.refund(refund_key(order), charge.id, 1250)
    with pytest.raises(RequestRefused):
        bank.refund("another-key", charge.id, 1250)


def test_a_refund_key_cannot_be_used_for_another_charge(bank: Gateway, approved: str, order: str) -> None:
    charges = [bank.charge(charge_key(f"{order}{n}"), approved, 1250, "USD") for n in range(2)]
    bank.refund(refund_key(order), charges[0].id, 1250)
    with pytest.raises(RequestRefused):
        bank.refund(refund_key(order), charges[1].id, 1250)


@pytest.mark.parametrize("amount", [1251, 0, -5])
def test_no_more_than_the_charge_is_refunded_and_no_less_than_something(
    bank: Gateway, approved: str, order: str, amount: int
) -> None:
    charge = bank.charge(charge_key(order), approved, 1250, "USD")
    with pytest.raises(RequestRefused):
        bank.refund(refund_key(order), charge.id, amount)


def test_a_decline_cannot_be_refunded(bank: Gateway, token: Callable[[Outcome], str], order: str) -> None:
    charge = bank.charge(charge_key(order), token(Outcome.CARD_DECLINED), 1250, "USD")
    with pytest.raises(RequestRefused):
        bank.refund(refund_key(order), charge.id, 1250)


def test_a_charge_that_nobody_made_cannot_be_refunded(bank: Gateway, order: str) -> None:
    with pytest.raises(RequestRefused):
        bank.refund(refund_key(order), "ch-nobody", 1250)


def test_a_lost_answer_leaves_one_charge_that_can_be_found(
    bank: Gateway, token: Callable[[Outcome], str], order: str, database_url: str
) -> None:
    with pytest.raises(OutcomeUnknown):
        bank.charge(charge_key(order), token(Outcome.LOST_ANSWER), 1250, "USD")
    found = bank.find(charge_key(order))
    assert found is not None
    assert found.approved
    assert bank.charge(charge_key(order), token(Outcome.LOST_ANSWER), 1250, "USD") == found
    assert ledger.charges_by_order(database_url) == {order: [found]}


def test_a_flaky_card_fails_once_and_then_works(bank: Gateway, token: Callable[[Outcome], str], order: str) -> None:
    flaky = token(Outcome.FLAKY)
    with pytest.raises(GatewayUnavailable):
        bank.charge(charge_key(order), flaky, 1250, "USD")
    assert bank.find(charge_key(order)) is None
    assert bank.charge(charge_key(order), flaky, 1250, "USD").approved


def test_an_unavailable_card_is_never_charged(bank: Gateway, token: Callable[[Outcome], str], order: str) -> None:
    for _ in range(3):
        with pytest.raises(GatewayUnavailable):
            bank.charge(charge_key(order), token(Outcome.UNAVAILABLE), 1250, "USD")
    assert bank.find(charge_key(order)) is None


def test_a_slow_card_is_charged_in_the_end(
    bank: Gateway, token: Callable[[Outcome], str], order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulator, "SLOW_SECONDS", 0.01)
    assert bank.charge(charge_key(order), token(Outcome.SLOW), 1250, "USD").approved


def test_nothing_connects_before_the_first_call() -> None:
    gateway("simulator", "postgresql://nobody@127.0.0.1:1/nowhere").close()


@pytest.mark.parametrize("call", ["charge", "find", "refund", "find_refund", "abandon"])
def test_a_ledger_that_cannot_be_reached_is_an_unavailable_gateway(call: str, approved: str) -> None:
    away = gateway("simulator", "postgresql://nobody@127.0.0.1:1/nowhere")
    calls: dict[str, Callable[[], object]] = {
        "charge": lambda: away.charge("k", approved, 1, "USD"),
        "find": lambda: away.find("k"),
        "refund": lambda: away.refund("k", "ch-x", 1),
        "find_refund": lambda: away.find_refund("k"),
        "abandon": lambda: away.abandon("k"),
    }
    with pytest.raises(GatewayUnavailable):
        calls[call]()


def end_every_other_session(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_connection_lost_during_a_charge_leaves_its_outcome_unknown(
    bank: Gateway, approved: str, order: str, database_url: str
) -> None:
    bank.find("warm")
    end_every_other_session(database_url)
    with pytest.raises(OutcomeUnknown):
        bank.charge(charge_key(order), approved, 1250, "USD")
    assert bank.charge(charge_key(order), approved, 1250, "USD").approved


def test_a_connection_lost_during_a_question_is_an_unavailable_gateway(bank: Gateway, database_url: str) -> None:
    bank.find("warm")
    end_every_other_session(database_url)
    with pytest.raises(GatewayUnavailable):
        bank.find("key")
    assert bank.find("key") is None


def test_after_a_lost_server_no_dead_connection_is_used_again(bank: Gateway, approved: str, database_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: bank.charge(f"{n}:charge", approved, 1, "USD"), range(40)))
    end_every_other_session(database_url)
    with pytest.raises(GatewayUnavailable):
        bank.find("key")
    for number in range(8):
        assert bank.find(f"{number}:charge") is not None


def test_a_ledger_that_falls_silent_is_given_up_and_the_next_call_goes_on(approved: str, database_url: str) -> None:
    with proxy(database_url) as network:
        far = gateway("simulator", network.url(database_url))
        far.find("warm")
        network.mute()
        with pytest.raises(OutcomeUnknown):
            far.charge("k:charge", approved, 1, "USD")
        assert far.find("k:charge") is not None
        far.close()


def test_gateways_that_start_at_the_same_time_share_one_ledger(database_url: str, approved: str) -> None:
    banks = [gateway("simulator", database_url) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda bank: bank.charge("o:charge", approved, 5, "USD"), banks))
    assert len(found) == 1
    for bank in banks:
        bank.close()


def test_the_ledger_of_a_database_without_one_is_empty(database_url: str) -> None:
    assert ledger.charges_by_order(database_url) == {}
    assert ledger.refunds_by_order(database_url) == {}
    assert ledger.net_by_order(database_url) == {}


def test_the_ledger_shows_a_double_charge_under_whatever_key(
    bank: Gateway, approved: str, order: str, database_url: str
) -> None:
    for key in (charge_key(order), f"{charge_key(order)}:again"):
        bank.charge(key, approved, 1250, "USD")
    assert len(ledger.charges_by_order(database_url)[order]) == 2
    assert ledger.net_by_order(database_url) == {order: 2500}


def test_the_ledger_holds_no_token(bank: Gateway, approved: str, order: str, database_url: str) -> None:
    bank.charge(charge_key(order), approved, 1250, "USD")
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT charge::text FROM gateway_simulator.charge").fetchall()
    assert approved not in str(rows)


def test_a_gateway_of_an_unknown_name_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ValueError, match="simulator"):
        gateway("strype", "")
