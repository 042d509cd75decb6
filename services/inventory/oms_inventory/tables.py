"""The tables of the Inventory Service. A CHECK makes sure that each item's stock adds up.

`sold` counts everything that orders ever took, and `released` everything that cancelled orders and returns gave back,
so that neither ever decreases: initial + restocked + corrected = on_hand + sold - released.
"""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Identity, Index, Integer, Text, func
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from oms_chassis.tables import ApiKeyColumns


class Tables(SQLModel, registry=registry()):
    """This service has its own registry, because another service may have a table of the same name."""


class ItemRow(Tables, table=True):
    """An item of the catalogue with its stock. `version` counts the published changes: name, price, availability."""

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
    """The decision about an order's stock. Because of its row, a second event about the order has no effect.

    An order that is cancelled before it is paid gets a row, too, and no stock when the payment arrives.
    """

    __tablename__ = "allocation"

    order_id: str = Field(primary_key=True, sa_type=Text)
    is_allocated: bool
    cancelled_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    at: datetime = Field(sa_type=DateTime(timezone=True), sa_column_kwargs={"server_default": func.now()})


class ReservationRow(Tables, table=True):
    """Stock that an order was given, and how much of it was given back."""

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
    """Stock that came back with a refund. Because of its row, a second event about the refund has no effect.

    There is no foreign key to the item: its check would lock the item before all items are locked in order.
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
    """A change of stock other than a reservation: how much, by whom, and why."""

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
    """The quantity of an item that deleted orders had taken: it is negative. There is no foreign key to the item: its
    check would make the deletion of orders wait for reservations."""

    __tablename__ = "carried"

    item_id: str = Field(primary_key=True, sa_type=Text)
    quantity: int = Field(sa_type=BigInteger)


class RestockRow(Tables, table=True):
    """A change of stock that was made with an idempotency key. `why` is empty without a reason, and NULL in rows of
    releases that did not compare reasons."""

    __tablename__ = "restock"

    key: str = Field(primary_key=True, sa_type=Text)
    item_id: str = Field(sa_type=Text, foreign_key="item.id")
    quantity: int = Field(sa_type=BigInteger)
    why: str | None = Field(default=None, sa_type=Text)
    at: datetime = Field(sa_type=DateTime(timezone=True), sa_column_kwargs={"server_default": func.now()})


class ApiKeyRow(ApiKeyColumns, Tables, table=True):
    """The API keys that this service accepts."""

    __tablename__ = "api_key"
