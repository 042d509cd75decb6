"""The tables of the Order Service. Money is in minor units; times are UTC.

Lines and timeline carry no foreign key: they are only ever written together with their order, and the check would cost
more than the rows.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, DateTime, Index, Integer, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from oms_chassis.tables import ApiKeyColumns
from oms_contracts.parts import ERASED

_CLOCK = text("clock_timestamp()")


class Tables(SQLModel, registry=registry()):
    """This service has its own registry, because another service may have a table of the same name."""


class OrderRow(Tables, table=True):
    """An order as it was accepted, and how far it has come."""

    __tablename__ = "orders"
    __table_args__ = (
        CheckConstraint("status IN ('PENDING', 'PAID', 'CONFIRMED', 'CANCELLING', 'CANCELLED')", name="orders_status"),
        CheckConstraint("(reason IS NOT NULL) = (status LIKE 'CANCEL%')", name="orders_reason"),
        # Nearly every order ends up CONFIRMED and is found by the primary key; the others are found here.
        Index("orders_not_confirmed", "status", "id", postgresql_where=text("status <> 'CONFIRMED'")),
        Index("orders_email", text("lower(email)"), "id"),
        # Even a customer with very many orders has few in such a status.
        Index(
            "orders_email_not_confirmed",
            text("lower(email)"),
            "status",
            "id",
            postgresql_where=text("status <> 'CONFIRMED'"),
        ),
        Index("orders_owner", "owner", "id", postgresql_where=text("owner IS NOT NULL")),
    )

    id: UUID = Field(primary_key=True)
    status: str = Field(sa_type=Text)
    reason: str | None = Field(default=None, sa_type=Text)
    facts: list[str] = Field(sa_type=ARRAY(Text))
    version: int
    name: str = Field(sa_type=Text)
    email: str = Field(sa_type=Text)
    phone: str = Field(sa_type=Text)
    phone_e164: str | None = Field(default=None, sa_type=Text)
    card_token: str = Field(sa_type=Text)
    card_brand: str = Field(sa_type=Text)
    card_last4: str = Field(sa_type=Text)
    card_expiry: str = Field(sa_type=Text)
    total: int = Field(sa_type=BigInteger)
    currency: str = Field(sa_type=Text)
    placed_at: datetime = Field(sa_type=DateTime(timezone=True))
    updated_at: datetime = Field(sa_type=DateTime(timezone=True))
    # The caller that placed it; None if callers are not authenticated.
    owner: str | None = Field(default=None, sa_type=Text)


# The columns that identify an order's customer, and what replaces them when the customer is erased.
PERSONAL = {
    "name": ERASED,
    "email": ERASED,
    "phone": ERASED,
    "phone_e164": None,
    "card_token": ERASED,
    "card_last4": "",
    "card_expiry": "",
    "owner": None,  # it may be an email address; from then on, only operators see the order
}


class LineRow(Tables, table=True):
    """One item of an order, with the name and the price that it had when the order was accepted."""

    __tablename__ = "order_line"

    order_id: UUID = Field(primary_key=True)
    position: int = Field(primary_key=True)
    item_id: str = Field(sa_type=Text)
    name: str = Field(sa_type=Text)
    quantity: int
    unit_price: int = Field(sa_type=BigInteger)


class TimelineRow(Tables, table=True):
    """Each status of an order, each status of its refunds, and each dispute. The row of a refund has its id, the row of
    a dispute its id and the amount that is `disputed`. The refund of a cancelled order's whole amount also has the
    number of payment's `outcome`, if it has one.

    `position` counts from 1 and is also the id of the live stream's events. `note` is what the caller said about a
    step.
    """

    __tablename__ = "timeline"

    order_id: UUID = Field(primary_key=True)
    position: int = Field(primary_key=True)
    status: str = Field(sa_type=Text)
    reason: str | None = Field(default=None, sa_type=Text)
    note: str | None = Field(default=None, sa_type=Text)
    at: datetime = Field(sa_type=DateTime(timezone=True))
    # The caller whose request led to it; None if an event did, or if callers are not authenticated.
    actor: str | None = Field(default=None, sa_type=Text)
    refund_id: UUID | None = Field(default=None)
    refund_status: str | None = Field(default=None, sa_type=Text)
    outcome: int | None = Field(default=None, sa_type=Integer)
    dispute_id: str | None = Field(default=None, sa_type=Text)
    disputed: int | None = Field(default=None, sa_type=BigInteger)


class RefundRow(Tables, table=True):
    """A refund of a confirmed order, or of a part of it. `lines` has the quantities by item, if it is for lines.

    `reason` is why it was requested, `failure` why it failed, and `outcome` the number of the outcome that payment
    published last. `asked` is how often payment has been asked since then whether a failed refund has succeeded.
    """

    __tablename__ = "refund"
    __table_args__ = (
        CheckConstraint("status IN ('PENDING', 'SUCCEEDED', 'FAILED')", name="refund_status"),
        CheckConstraint("amount > 0", name="refund_amount"),
        Index("refund_order", "order_id"),
        Index("refund_pending", "requested_at", postgresql_where=text("status = 'PENDING'")),
        # Nearly every refund ends up SUCCEEDED; pages of the others are read from here.
        Index("refund_not_succeeded", "id", postgresql_where=text("status <> 'SUCCEEDED'")),
    )

    id: UUID = Field(primary_key=True)
    order_id: UUID
    amount: int = Field(sa_type=BigInteger)
    lines: list[dict[str, Any]] = Field(sa_type=JSONB)
    restock: bool
    status: str = Field(sa_type=Text)
    reason: str | None = Field(default=None, sa_type=Text)
    failure: str | None = Field(default=None, sa_type=Text)
    outcome: int = Field(default=0, sa_type=Integer, sa_column_kwargs={"server_default": "0"})
    asked: int = Field(default=0, sa_type=Integer, sa_column_kwargs={"server_default": "0"})
    # The caller that requested it; None if callers are not authenticated.
    actor: str | None = Field(default=None, sa_type=Text)
    requested_at: datetime = Field(sa_type=DateTime(timezone=True), sa_column_kwargs={"server_default": _CLOCK})
    settled_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))


class ItemRow(Tables, table=True):
    """An item as the inventory last published it. `seen_at` is when this service received that."""

    __tablename__ = "item"
    __table_args__ = (Index("item_seen_at", "seen_at"),)

    id: str = Field(primary_key=True, sa_type=Text)
    name: str = Field(sa_type=Text)
    unit_price: int = Field(sa_type=BigInteger)
    currency: str = Field(sa_type=Text)
    available: bool
    version: int = Field(sa_type=BigInteger)
    seen_at: datetime = Field(sa_type=DateTime(timezone=True), sa_column_kwargs={"server_default": _CLOCK})


class IdempotencyRow(Tables, table=True):
    """A caller's key with the answer that it got. Written in the transaction of its order."""

    __tablename__ = "idempotency"
    __table_args__ = (
        Index("idempotency_created_at", "created_at"),
        Index("idempotency_order", "order_id"),
    )

    scope: str = Field(primary_key=True, sa_type=Text)
    key: str = Field(primary_key=True, sa_type=Text)
    fingerprint: str = Field(sa_type=Text)
    order_id: UUID
    answer: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=DateTime(timezone=True), sa_column_kwargs={"server_default": text("now()")})


class ApiKeyRow(ApiKeyColumns, Tables, table=True):
    """The API keys that this service accepts."""

    __tablename__ = "api_key"
