"""However many payments there are, a page of them is found by an index: also by the plan that a connection keeps."""

from collections.abc import Sequence

import pytest
from support.plans import indexes

from oms_chassis.db import Database
from oms_payment import repository
from oms_payment.domain import OPEN, State

_FILL = (
    """INSERT INTO payment (order_id, state, amount, currency, charge_id)
    SELECT 'o' || lpad(n::text, 12, '0'), CASE WHEN n %% 50 = 0 THEN 'FAILED' ELSE 'COMPLETED' END, 1, 'USD', 'ch'
    FROM generate_series(1, 20000) AS n""",
    """INSERT INTO requested_refund (refund_id, order_id, amount, currency, state, reference)
    SELECT 'r' || order_id, order_id, 1, 'USD', 'SUCCEEDED', 're' FROM payment""",
    """INSERT INTO dispute (id, order_id, charge_id, amount, currency)
    SELECT 'd' || order_id, order_id, 'ch', 1, 'USD' FROM payment""",
    "ANALYZE payment, requested_refund, dispute",
)


@pytest.fixture
def filled(database: Database) -> Database:
    for sql in _FILL:
        database.execute(sql)
    return database


def read(filled: Database, states: Sequence[str] | None, *, with_refunds: bool = False) -> set[str]:
    (found,) = indexes(filled, lambda asked: repository.page(asked, states, None, "", 51, with_refunds=with_refunds))
    return found


ROWS = {"payment_pkey", "requested_refund_order", "dispute_order"}  # by which the payments of a page are shown


def test_open_payments_and_those_with_an_open_refund_are_found_by_that(filled: Database) -> None:
    found = read(filled, [one.value for one in OPEN], with_refunds=True)
    assert found == {"payment_not_completed", "requested_refund_open", *ROWS}


@pytest.mark.parametrize("state", [one for one in State if one is not State.COMPLETED])
def test_payments_of_a_state_that_few_have_are_found_by_it(filled: Database, state: State) -> None:
    assert read(filled, [state.value]) == {"payment_not_completed", *ROWS}


@pytest.mark.parametrize("states", [None, ["COMPLETED"]], ids=["all", "completed"])
def test_all_other_pages_are_a_stretch_of_the_key(filled: Database, states: Sequence[str] | None) -> None:
    assert read(filled, states) == ROWS
