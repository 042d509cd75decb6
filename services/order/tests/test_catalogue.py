"""The catalogue: what this process knows of prices is never older than it says, and costs little to keep."""

from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy.exc import SQLAlchemyError
from support.statements import statements

from oms_chassis.db import Database
from oms_contracts.events import ItemUpdated
from oms_contracts.topics import ITEM_UPDATED
from oms_order.catalogue import CHUNK, Catalogue
from oms_order.handlers import update_catalogue
from oms_order.metrics import OrderMetrics

MANY = 100_000


@pytest.fixture
def metrics() -> OrderMetrics:
    return OrderMetrics(CollectorRegistry())


@pytest.fixture
def catalogue(database: Database, metrics: OrderMetrics) -> Catalogue:
    """A catalogue that has seen all that there was."""
    catalogue = Catalogue(database, metrics)
    catalogue.refresh()
    return catalogue


def price(catalogue: Catalogue, item: str) -> int:
    return catalogue.items[item].unit_price


def changed(item: str, version: int, price: int) -> list[Any]:
    state = ItemUpdated(item_id=item, name=item, unit_price=price, currency="USD", available=True, version=version)
    return [ITEM_UPDATED.event(state, item)]


def age(metrics: OrderMetrics, registry: CollectorRegistry) -> float:
    found = registry.get_sample_value("oms_catalogue_age_seconds")
    assert found is not None
    return found


def test_a_price_whose_transaction_commits_after_later_ones_is_not_missed(
    database: Database, catalogue: Catalogue
) -> None:
    with database.transaction() as slow:
        update_catalogue(slow, changed("Item1", 2, 999))
        database.execute("UPDATE item SET version = 2, seen_at = clock_timestamp() + '31 seconds' WHERE id = 'Item2'")
        catalogue.refresh()
    assert price(catalogue, "Item1") == 100
    catalogue.refresh()
    assert price(catalogue, "Item1") == 999


def test_a_price_that_no_look_at_the_newest_finds_is_found_when_all_are_compared(
    database: Database, metrics: OrderMetrics
) -> None:
    catalogue = Catalogue(database, metrics, reconcile=0.0)
    catalogue.refresh()
    database.execute(
        "UPDATE item SET unit_price = 999, version = 2, seen_at = now() - interval '1 hour' WHERE id = 'Item1'"
    )
    catalogue.refresh()
    assert price(catalogue, "Item1") == 999


@pytest.mark.parametrize("together", [True, False])
def test_a_price_that_comes_again_after_a_later_one_is_not_taken(
    database: Database, catalogue: Catalogue, together: bool
) -> None:
    """As from a relay whose process was suspended in the middle of a send."""
    old, new = changed("Item1", 2, 999), changed("Item1", 3, 555)
    for batch in [new + old] if together else [old, new, old]:
        with database.transaction() as transaction:
            update_catalogue(transaction, batch)
    catalogue.refresh()
    assert price(catalogue, "Item1") == 555


def test_an_older_version_changes_nothing(database: Database, catalogue: Catalogue) -> None:
    database.execute("UPDATE item SET unit_price = 999, version = 0, seen_at = clock_timestamp() WHERE id = 'Item1'")
    catalogue.refresh()
    assert price(catalogue, "Item1") == 100


def test_a_quiet_catalogue_reads_nothing(database: Database, catalogue: Catalogue) -> None:
    database.execute("UPDATE item SET seen_at = now() - interval '1 hour'")
    with statements(database) as found:
        catalogue.refresh()
    assert [one.rows for one in found] == [0]


@pytest.fixture
def large(database: Database) -> Database:
    """A database with a large catalogue, all of it updated just now."""
    database.execute(
        "INSERT INTO item (id, name, unit_price, currency, available, version)"
        f" SELECT 'SKU-' || n, 'Number ' || n, n, 'USD', true, 1 FROM generate_series(1, {MANY}) AS n"
    )
    return database


def test_a_large_catalogue_is_read_in_bounded_pieces(large: Database, metrics: OrderMetrics) -> None:
    catalogue = Catalogue(large, metrics)
    with statements(large) as found:
        catalogue.refresh()
    assert len(catalogue.items) == MANY + 5
    assert max(one.rows for one in found) <= CHUNK
    large.execute("UPDATE item SET unit_price = 7, version = 2, seen_at = clock_timestamp() WHERE id = 'SKU-77'")
    with statements(large) as found:
        catalogue.refresh()
    assert price(catalogue, "SKU-77") == 7
    assert max(one.rows for one in found) <= CHUNK


def test_a_look_that_takes_long_is_made_less_often(
    database: Database, metrics: OrderMetrics, catalogue: Catalogue
) -> None:
    assert Catalogue(database, metrics, every=0.001).refresh() > 0.001
    assert catalogue.refresh() >= 1.0


def test_the_age_grows_while_the_database_is_away() -> None:
    registry = CollectorRegistry()
    away = Database("postgresql://nobody@127.0.0.1:1/none", 1)
    catalogue = Catalogue(away, metrics := OrderMetrics(registry))
    first = age(metrics, registry)
    with pytest.raises(SQLAlchemyError):
        catalogue.refresh()
    assert age(metrics, registry) > first


def test_the_age_begins_again_with_each_look(database: Database) -> None:
    registry = CollectorRegistry()
    catalogue = Catalogue(database, metrics := OrderMetrics(registry))
    before = age(metrics, registry)
    catalogue.refresh()
    assert catalogue.items
    assert age(metrics, registry) < before + 1.0
