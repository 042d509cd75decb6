"""The decisions about a payment, without anything around them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_payment.domain import (
    LEAST_CALLS,
    NOT_CHARGED,
    REFUND_FAILED,
    Outcome,
    Payment,
    State,
    Step,
    failure_reason,
    step,
)

APPROVED = Outcome(approved=True, charge_id="ch-1")
DECLINED = Outcome(approved=False, charge_id="ch-2", reason="lost-card")
PENDING = Payment("o1", State.PENDING)


def test_an_approved_charge_completes_the_payment() -> None:
    assert PENDING.charged(APPROVED) == Payment("o1", State.COMPLETED, charge_id="ch-1")


def test_a_decline_fails_the_payment_and_leaves_no_charge() -> None:
    assert PENDING.charged(DECLINED) == Payment("o1", State.FAILED, reason="lost-card")


def test_a_rejected_order_is_refunded() -> None:
    completed = Payment("o1", State.COMPLETED, charge_id="ch-1")
    refunding = completed.rejected()
    assert refunding == Payment("o1", State.REFUNDING, charge_id="ch-1")
    assert refunding.refunded("re-1") == Payment("o1", State.REFUNDED, charge_id="ch-1", refund_id="re-1", outcome=1)


def test_a_rejection_during_the_charge_keeps_the_charge_for_the_refund() -> None:
    waiting = PENDING.rejected()
    assert waiting == Payment("o1", State.REFUNDING)
    assert waiting.charged(APPROVED) == Payment("o1", State.REFUNDING, charge_id="ch-1")


def test_a_rejection_during_a_charge_that_is_declined_leaves_nothing_to_refund() -> None:
    waiting = PENDING.rejected()
    assert waiting is not None
    after = waiting.charged(DECLINED)
    assert after == Payment("o1", State.REFUNDING, reason="lost-card")
    assert after.refunded(NOT_CHARGED) == Payment(
        "o1", State.REFUNDED, refund_id=NOT_CHARGED, reason="lost-card", outcome=1
    )


def test_a_refund_that_failed_leaves_the_money_to_be_refunded() -> None:
    refunding = Payment("o1", State.REFUNDING, charge_id="ch-1")
    after = refunding.refund_failed()
    assert after == Payment("o1", State.REFUNDING, charge_id="ch-1", reason=REFUND_FAILED, outcome=1)
    assert after.refunded_again() == replace(refunding, outcome=1)
    assert after.refunded("re-2") == Payment("o1", State.REFUNDED, charge_id="ch-1", refund_id="re-2", outcome=2)
    assert Payment("o1", State.REFUNDED).refund_failed() is None


@pytest.mark.parametrize("state", [State.COMPLETED, State.FAILED, State.REFUNDED])
def test_a_second_outcome_of_the_charge_changes_nothing(state: State) -> None:
    assert Payment("o1", state, charge_id="ch-0").charged(APPROVED) is None


@pytest.mark.parametrize("state", [State.FAILED, State.REFUNDING, State.REFUNDED])
def test_a_rejection_of_what_failed_or_is_refunded_changes_nothing(state: State) -> None:
    assert Payment("o1", state).rejected() is None


@pytest.mark.parametrize("state", [State.PENDING, State.COMPLETED, State.FAILED, State.REFUNDED])
def test_a_refund_that_nobody_asked_for_changes_nothing(state: State) -> None:
    assert Payment("o1", state).refunded("re-1") is None


def test_only_the_refund_that_was_made_is_sent_back() -> None:
    refunded = Payment("o1", State.REFUNDED, "ch-1", "re-1", outcome=1)
    failed = refunded.refund_sent_back("re-1")
    assert failed == Payment("o1", State.REFUNDING, "ch-1", None, REFUND_FAILED, outcome=2)
    assert failed.refunded("re-2") == Payment("o1", State.REFUNDED, "ch-1", "re-2", outcome=3)
    assert refunded.refund_sent_back("re-0") is failed.refund_sent_back("re-1") is None


MOVES = {
    "approved": lambda payment: payment.charged(APPROVED),
    "declined": lambda payment: payment.charged(DECLINED),
    "rejected": lambda payment: payment.rejected(),
    "refunded": lambda payment: payment.refunded("re-1"),
}
ARROWS = {
    ("PENDING", "COMPLETED"),
    ("PENDING", "FAILED"),
    ("PENDING", "REFUNDING"),
    ("COMPLETED", "REFUNDING"),
    ("REFUNDING", "REFUNDING"),
    ("REFUNDING", "REFUNDED"),
}


@given(st.lists(st.sampled_from(sorted(MOVES)), max_size=12))
def test_whatever_comes_in_whatever_order_only_the_arrows_of_the_diagram_are_walked(moves: list[str]) -> None:
    payment, walked = PENDING, []
    for move in moves:
        after = MOVES[move](payment)
        if after is not None:
            walked.append((payment.state.value, after.state.value))
            payment = after
    assert set(walked) <= ARROWS
    assert len(walked) <= 3
    assert payment.state is not State.COMPLETED or payment.charge_id == "ch-1"
    assert payment.state is not State.FAILED or payment.charge_id is None


def test_the_first_attempt_charges_later_ones_ask_first_and_those_after_the_patience_only_close() -> None:
    assert step(1, 0, 0.0, 60.0) is Step.CHARGE
    assert {step(attempt, attempt - 1, 0.0, 60.0) for attempt in range(2, 1000)} == {Step.ASK_FIRST}
    assert step(9, 8, 59.0, 60.0) is Step.ASK_FIRST
    assert step(9, 8, 60.0, 60.0) is Step.CLOSE


def test_an_order_that_only_met_the_beginning_of_an_outage_is_charged_when_it_is_over() -> None:
    assert step(2, LEAST_CALLS - 1, 7200.0, 60.0) is Step.ASK_FIRST
    assert step(2, LEAST_CALLS, 7200.0, 60.0) is Step.CLOSE


@pytest.mark.parametrize(
    ("code", "reason"), [("insufficient_funds", "insufficient-funds"), ("", "card-declined"), (None, "card-declined")]
)
def test_reasons_are_spelt_like_the_other_reasons(code: str | None, reason: str) -> None:
    assert failure_reason(code) == reason
