"""The tables. An item's stock adds up in the table itself: what came in is what is here and what was sold.

`sold` counts all that orders ever got, and `released` what came back, from those that were cancelled and by returns, so
that neither ever goes down: initial + restocked + corrected = on_hand + sold - released.
"""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Identity, Index, Integer, Text, func
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from oms_chassis.tables import ApiKeyColumns


class Tables(SQLModel, registry=registry()):
    """This service has its own registry, because another service may have a table of the same name."""


class ItemRow(Tables, table=True):
    """An item of the catalogue with its stock. `version` counts what is published: name, price, availability."""

    __tablename__ = "item"
    __table_args__ = (
        CheckConstraint("on_hand >= 0", name="item_on_hand"),
        CheckConstraint("initial + restocked + corrected = on_hand + sold - released", name="item_adds_up"),
        CheckConstraint("unit_price > 0", name="item_unit_price"),
    )

    id: str = Field(primary_key=True, sa_type=Text)
    name: str = Field(sa_type=Text)
    unit_price: int = Field(sa_type=BigInteger)
    currency: str = Field(sa_type=Text)
    initial: int = Field(sa_type=BigInteger)
    restocked: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})
    on_hand: int = Field(sa_type=BigInteger)
    sold: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})
    released: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})
    corrected: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})
    version: int = Field(default=1, sa_type=Integer, sa_column_kwargs={"server_default": "1"})
    updated_at: datetime = Field(sa_type=DateTime(timezone=True), sa_column_kwargs={"server_default": func.now()})


class AllocationRow(Tables, table=True):
    """What became of an order here. Its row makes a second event about the same order harmless.

    An order that was cancelled before it was paid has a row, too, and gets no stock when the payment arrives.
    """

    __tablename__ = "allocation"

    order_id: str = Field(primary_key=True, sa_type=Text)
    is_allocated: bool
    cancelled_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    at: datetime = Field(sa_type=DateTime(timezone=True), sa_column_kwargs={"server_default": func.now()})


class ReservationRow(Tables, table=True):
    """Stock that an order got, and how much of that it does not hold any more."""

    __tablename__ = "reservation"
    __table_args__ = (
        CheckConstraint("released BETWEEN 0 AND quantity", name="reservation_released"),
        Index("reservation_item_order", "item_id", "order_id"),
    )

    order_id: str = Field(primary_key=True, sa_type=Text, foreign_key="allocation.order_id")
    item_id: str = Field(primary_key=True, sa_type=Text, foreign_key="item.id")
    quantity: int = Field(sa_type=BigInteger)
    released: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})


class ReturnRow(Tables, table=True):
    """What came back of an order that was delivered, with a refund. Its row makes a second event harmless.

    It does not refer to the item by a key: its check would lock the item before all items are locked in their order.
    """

    __tablename__ = "stock_return"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="stock_return_quantity"),
        Index("stock_return_order", "order_id"),
    )

    refund_id: str = Field(primary_key=True, sa_type=Text)
    item_id: str = Field(primary_key=True, sa_type=Text)
    order_id: str = Field(sa_type=Text)
    quantity: int = Field(sa_type=BigInteger)
    at: datetime = Field(sa_type=DateTime(timezone=True), sa_column_kwargs={"server_default": func.now()})


class MovementRow(Tables, table=True):
    """Stock that came or went otherwise than by a reservation: how much, by whom, and why."""

    __tablename__ = "movement"
    __table_args__ = (
        CheckConstraint("kind IN ('restocked', 'released', 'returned', 'corrected')", name="movement_kind"),
        CheckConstraint("quantity <> 0", name="movement_quantity"),
        Index("movement_item", "item_id", "at"),
    )

    id: int = Field(primary_key=True, sa_type=BigInteger, sa_column_args=(Identity(),))
    item_id: str = Field(sa_type=Text, foreign_key="item.id")
    kind: str = Field(sa_type=Text)
    quantity: int = Field(sa_type=BigInteger)
    order_id: str | None = Field(default=None, sa_type=Text)
    who: str = Field(sa_type=Text)
    why: str | None = Field(default=None, sa_type=Text)
    at: datetime = Field(sa_type=DateTime(timezone=True), sa_column_kwargs={"server_default": func.now()})


class CarriedRow(Tables, table=True):
    """What orders that are deleted took of an item: a negative quantity. It does not refer to the item by a key: its
    check would make whoever deletes orders wait for those who reserve stock."""

    __tablename__ = "carried"

    item_id: str = Field(primary_key=True, sa_type=Text)
    quantity: int = Field(sa_type=BigInteger)


class RestockRow(Tables, table=True):
    """A restock that was made under an idempotency key. Without a reason, `why` is empty; releases that did not compare
    reasons left nothing."""

    __tablename__ = "restock"

    key: str = Field(primary_key=True, sa_type=Text)
    item_id: str = Field(sa_type=Text, foreign_key="item.id")
    quantity: int = Field(sa_type=BigInteger)
    why: str | None = Field(default=None, sa_type=Text)
    at: datetime = Field(sa_type=DateTime(timezone=True), sa_column_kwargs={"server_default": func.now()})


class ApiKeyRow(ApiKeyColumns, Tables, table=True):
    """The API keys that this service accepts."""

    __tablename__ = "api_key"
