"""How every gateway refunds, and what it says about refunds and disputes."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
import pytest
from support.chassis import eventually

from oms_gateway import (
    Gateway,
    RefundStatus,
    RequestRefused,
    charge_key,
    refund_key,
)
from oms_simulators.payment import gateway as simulator
from oms_simulators.payment import ledger
from oms_simulators.payment.testcards import Outcome


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
