"""However many payments there are, a page of them is found by an index: also by the plan that a connection keeps."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import pytest
from support.plans import indexes

from oms_chassis.db import Database
from oms_payment import repository
from oms_payment.domain import OPEN, State
from oms_payment.repository import failed_refunds

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


class Explaining:
    """In place of a database: says how PostgreSQL has run a statement, and not what it has found."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def execute(self, sql: str, **params: object) -> Any:
        return self._database.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", **params)[0][0][0]["Plan"]


def read_by(node: Mapping[str, Any], index: str) -> int:
    """How many rows were read by an index."""
    own = node["Actual Rows"] * node["Actual Loops"] if node.get("Index Name") == index else 0
    return own + sum(read_by(one, index) for one in node.get("Plans", ()))


@pytest.fixture
def refunding(filled: Database) -> Database:
    """Each order has two refunds that are under way, as while the gateway is away."""
    filled.execute(
        """INSERT INTO requested_refund (refund_id, order_id, amount, currency, state)
        SELECT n || order_id, order_id, 1, 'USD', 'PENDING' FROM payment, generate_series(1, 2) AS n"""
    )
    filled.execute("ANALYZE requested_refund")
    return filled


def open_pages(database: Database, limit: int) -> Iterator[list[str]]:
    after, found = "", [""]
    while found:
        rows = repository.page(database, [], None, after, limit, with_refunds=True)
        found = [row.order_id for row in rows]
        yield found
        after = found[-1] if found else after


def test_of_very_many_open_refunds_a_page_reads_its_own(refunding: Database) -> None:
    explaining: Any = Explaining(refunding)
    plan: Any = repository.page(explaining, [one.value for one in OPEN], None, "", 51, with_refunds=True)
    assert 0 < read_by(plan, "requested_refund_open") < 500


def test_refunds_that_were_sent_back_are_found_among_those_that_have_not_succeeded(filled: Database) -> None:
    (found,) = indexes(filled, lambda asked: failed_refunds.due_again(asked, 300.0, 30.0))
    assert found == {"requested_refund_open"}


def test_pages_of_orders_with_several_open_refunds_are_full_and_lead_to_each_once(refunding: Database) -> None:
    pages = list(open_pages(refunding, 7000))
    assert [len(page) for page in pages] == [7000, 7000, 6000, 0]
    assert list(chain(*pages)) == [
        row.order_id for row in refunding.execute("SELECT order_id FROM payment ORDER BY order_id")
    ]
