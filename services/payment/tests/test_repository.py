"""What the statements write is what the table takes."""

import pytest
from sqlalchemy.exc import IntegrityError
from support.payments import created

from oms_chassis import migrations
from oms_chassis.db import Database
from oms_payment import repository
from oms_payment.domain import Payment, State


def test_migrating_again_does_nothing(database: Database) -> None:
    migrations.upgrade(database, "oms_payment")


def test_the_table_knows_every_state(database: Database) -> None:
    with database.transaction() as transaction:
        orders = [created(f"o-{state}", "token").data for state in State]
        for state, order in zip(State, orders, strict=True):
            repository.insert(transaction, [order], State.PENDING)
            repository.update(transaction, [Payment(order.order_id, state, charge_id="ch-1")])
        assert {payment.state for payment in repository.lock(transaction, [o.order_id for o in orders])} == set(State)


@pytest.mark.parametrize("values", ["'GIVEN', 'ch-1'", "'COMPLETED', NULL"])
def test_the_table_refuses_what_no_payment_can_be(database: Database, values: str) -> None:
    sql = f"INSERT INTO payment (order_id, state, charge_id, amount, currency) VALUES ('o1', {values}, 1, 'USD')"
    with pytest.raises(IntegrityError), database.transaction() as transaction:
        transaction.execute(sql)


def test_an_order_that_is_twice_in_a_batch_is_opened_once(database: Database) -> None:
    order = created("o1", "token").data
    with database.transaction() as transaction:
        assert repository.insert(transaction, [order, order], State.PENDING) == {"o1"}
        assert repository.insert(transaction, [order], State.PENDING) == set()


def test_an_empty_batch_asks_nothing_of_the_table(database: Database) -> None:
    with database.transaction() as transaction:
        assert repository.insert(transaction, [], State.PENDING) == set()
        assert repository.lock(transaction, []) == []
        repository.update(transaction, [])
