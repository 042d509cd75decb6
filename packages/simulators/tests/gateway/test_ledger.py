"""The simulator's ledger, from which tests and operators read what was charged and refunded."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg

from oms_gateway import (
    Gateway,
    charge_key,
)
from oms_simulators.payment import ledger


def test_gateways_that_start_at_the_same_time_share_one_ledger(
    gateway_at: Callable[[str], Gateway], database_url: str, approved: str
) -> None:
    gateways = [gateway_at(database_url) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda gateway: gateway.charge("o:charge", approved, 5, "USD"), gateways))
    assert len(found) == 1


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
