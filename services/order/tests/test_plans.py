"""However many orders there are, a page of them is found by an index: also by the plan that a connection keeps, which
is made without looking at the parameters. `make bench-scale` times all of it with a million orders."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from oms_chassis.db import Database
from oms_order.domain import Status
from oms_order.repository import orders
from oms_order.repository.orders import Filters

ORDERS = 20_000
BIG = "shop@big.example"
_FILL = f"""
INSERT INTO orders (id, status, facts, version, name, email, phone, card_token, card_brand, card_last4, card_expiry,
    total, currency, placed_at, updated_at)
SELECT ('01990000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'CONFIRMED', '{{}}', 1, 'a',
    CASE WHEN n %% 5 = 0 THEN '{BIG}' ELSE 'c' || n || '@scale.example' END,
    'a', 'a', 'a', 'a', 'a', 1, 'USD', now(), now()
FROM generate_series(1, {ORDERS}) AS n
"""


class Asked:
    """In place of a database: the statement that it would have been asked, as a server prepares it."""

    sql = ""

    def execute(self, sql: str, **_: object) -> list[Any]:
        names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", sql)))
        self.sql = re.sub(r"%\((\w+)\)s", lambda found: f"${names.index(found[1]) + 1}", sql)
        return []


@pytest.fixture(scope="module")
def filled(migrated_url: str) -> Iterator[Database]:
    database = Database(migrated_url, 2)
    database.execute("TRUNCATE orders")
    database.execute(_FILL)
    database.execute("ANALYZE orders")
    yield database
    database.execute("TRUNCATE orders")
    database.dispose()


def plan(database: Database, filters: Filters) -> Mapping[str, Any]:
    asked = Asked()
    orders.page(asked, filters, None, 51)  # type: ignore[arg-type]
    found: Mapping[str, Any] = database.execute(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {asked.sql}")[0][0][0]["Plan"]
    return found


def indexes(node: Mapping[str, Any]) -> set[str]:
    """The indexes that a plan reads; AssertionError if it reads a whole table."""
    assert node["Node Type"] != "Seq Scan", json.dumps(node)
    own = {node["Index Name"]} if "Index Name" in node else set()
    return own.union(*(indexes(one) for one in node.get("Plans", ())))


@pytest.mark.parametrize("status", [one for one in Status if one is not Status.CONFIRMED])
def test_orders_of_a_status_that_few_have_are_found_by_it(filled: Database, status: Status) -> None:
    assert indexes(plan(filled, Filters(status))) == {"orders_not_confirmed"}


@pytest.mark.parametrize("status", [one for one in Status if one is not Status.CONFIRMED])
def test_such_orders_of_a_customer_with_very_many_are_found_by_both(filled: Database, status: Status) -> None:
    assert indexes(plan(filled, Filters(status, BIG))) <= {"orders_email_not_confirmed", "orders_not_confirmed"}


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        (Filters(), "orders_pkey"),
        (Filters(Status.CONFIRMED), "orders_pkey"),
        (Filters(email=BIG), "orders_email"),
        (Filters(Status.CONFIRMED, BIG), "orders_email"),
    ],
    ids=["all", "confirmed", "of a customer", "confirmed of a customer"],
)
def test_all_other_pages_are_a_stretch_of_an_index(filled: Database, filters: Filters, index: str) -> None:
    assert indexes(plan(filled, filters)) == {index}
