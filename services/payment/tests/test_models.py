"""The model, the migration and the table are one."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, Table
from sqlalchemy.exc import IntegrityError

from oms_chassis import migrations
from oms_chassis.db import Database
from oms_payment import models
from oms_payment.domain import Payment, State
from oms_payment.testing import created


def only_payment(thing: object, name: str | None, kind: str, reflected: bool, compared: object) -> bool:
    return kind != "table" or name == "payment"


def test_the_migration_makes_the_table_that_the_model_describes(database: Database) -> None:
    metadata = MetaData()
    table: Table = models.PaymentRow.__table__  # type: ignore[attr-defined] # SQLModel adds it
    table.to_metadata(metadata)
    with database.engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True, "include_object": only_payment}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def test_migrating_again_does_nothing(database: Database) -> None:
    migrations.upgrade(database, "oms_payment")


def test_the_table_knows_every_state(database: Database) -> None:
    with database.transaction() as transaction:
        orders = [created(f"o-{state}", "token").data for state in State]
        for state, order in zip(State, orders, strict=True):
            models.insert(transaction, [order], State.PENDING)
            models.update(transaction, [Payment(order.order_id, state, charge_id="ch-1")])
        assert {payment.state for payment in models.lock(transaction, [o.order_id for o in orders])} == set(State)


@pytest.mark.parametrize("values", ["'GIVEN', 'ch-1'", "'COMPLETED', NULL"])
def test_the_table_refuses_what_no_payment_can_be(database: Database, values: str) -> None:
    sql = f"INSERT INTO payment (order_id, state, charge_id, amount, currency) VALUES ('o1', {values}, 1, 'USD')"
    with pytest.raises(IntegrityError), database.transaction() as transaction:
        transaction.run(sql)


def test_an_order_that_is_twice_in_a_batch_is_opened_once(database: Database) -> None:
    order = created("o1", "token").data
    with database.transaction() as transaction:
        assert models.insert(transaction, [order, order], State.PENDING) == {"o1"}
        assert models.insert(transaction, [order], State.PENDING) == set()


def test_an_empty_batch_asks_nothing_of_the_table(database: Database) -> None:
    with database.transaction() as transaction:
        assert models.insert(transaction, [], State.PENDING) == set()
        assert models.lock(transaction, []) == []
        models.update(transaction, [])
