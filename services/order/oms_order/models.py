"""The tables of the Order Service. Money is in minor units; times are UTC.

Rows are written by the statements in placing.py and handlers.py, one for a whole batch. Lines and timeline carry no
foreign key: only those two write them, together with their order, and the check would cost more than the rows.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, Column, DateTime, Index, Text, text
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel


def _time(**options: Any) -> Any:
    return Field(sa_column=Column(DateTime(timezone=True), nullable=False, **options))


def _text(**options: Any) -> Any:
    return Field(sa_column=Column(Text, **{"nullable": False, **options}))


def _money() -> Any:
    return Field(sa_column=Column(BigInteger, nullable=False))


class Tables(SQLModel, registry=registry()):
    """A registry of this service's own: another service may have a table of the same name."""


class OrderRow(Tables, table=True):
    """An order as it was accepted, and where it stands."""

    __tablename__ = "orders"
    __table_args__ = (
        CheckConstraint("status IN ('PENDING', 'PAID', 'CONFIRMED', 'CANCELLING', 'CANCELLED')", name="orders_status"),
        CheckConstraint("(reason IS NOT NULL) = (status LIKE 'CANCEL%')", name="orders_reason"),
        # Nearly every order ends up CONFIRMED: the others are found here, those by the primary key.
        Index("orders_not_confirmed", "status", "id", postgresql_where=text("status <> 'CONFIRMED'")),
        Index("orders_email", text("lower(email)"), "id"),
    )

    id: UUID = Field(primary_key=True)
    status: str = _text()
    reason: str | None = _text(nullable=True)
    facts: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    version: int
    name: str = _text()
    email: str = _text()
    phone: str = _text()
    phone_e164: str | None = _text(nullable=True)
    card_token: str = _text()
    card_brand: str = _text()
    card_last4: str = _text()
    card_expiry: str = _text()
    total: int = _money()
    currency: str = _text()
    placed_at: datetime = _time()
    updated_at: datetime = _time()


class OrderLine(Tables, table=True):
    """One item of an order, with the name and the price that it had when the order was accepted."""

    __tablename__ = "order_line"

    order_id: UUID = Field(primary_key=True)
    position: int = Field(primary_key=True)
    item_id: str = _text()
    name: str = _text()
    quantity: int
    unit_price: int = _money()


class TimelineRow(Tables, table=True):
    """Each status that an order has had. `position` counts from 1 and is also the id of the live stream's events."""

    __tablename__ = "timeline"

    order_id: UUID = Field(primary_key=True)
    position: int = Field(primary_key=True)
    status: str = _text()
    reason: str | None = _text(nullable=True)
    at: datetime = _time()


class Item(Tables, table=True):
    """An item as the inventory last described it. `seen_at` is when this service heard of it."""

    __tablename__ = "item"
    __table_args__ = (Index("item_seen_at", "seen_at"),)

    id: str = _text(primary_key=True)
    name: str = _text()
    unit_price: int = _money()
    currency: str = _text()
    available: bool
    version: int = Field(sa_column=Column(BigInteger, nullable=False))
    seen_at: datetime = _time(server_default=text("clock_timestamp()"))


class IdempotencyKey(Tables, table=True):
    """A caller's key with the answer that it got. Written in the transaction of the order that it stands for."""

    __tablename__ = "idempotency"
    __table_args__ = (Index("idempotency_created_at", "created_at"),)

    scope: str = _text(primary_key=True)
    key: str = _text(primary_key=True)
    fingerprint: str = _text()
    order_id: UUID
    answer: str = _text()
    created_at: datetime = _time(server_default=text("now()"))
