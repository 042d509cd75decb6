"""How every gateway charges."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from oms_gateway import (
    ABANDONED,
    Charge,
    Gateway,
    RequestRefused,
    charge_key,
)
from oms_simulators.payment.testcards import Outcome

DECLINES = [outcome for outcome in Outcome if outcome.declined]


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
    gateway: Gateway, gateway_at: Callable[[str], Gateway], database_url: str, approved: str, order: str
) -> None:
    charge = gateway.charge(charge_key(order), approved, 1250, "USD")
    assert gateway_at(database_url).find(charge_key(order)) == charge


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
