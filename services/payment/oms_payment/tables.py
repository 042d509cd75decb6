"""The tables of payments. Amounts are in minor units."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Index, Integer, Text, func, text
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel


class Tables(SQLModel, registry=registry()):
    """This service has its own registry, because another service may have a table of the same name."""


class PaymentRow(Tables, table=True):
    """One order's payment. The card's token is not here, but only in the charge's job, and is deleted with it.

    `outcome` numbers the outcomes of the refund of the whole payment.
    """

    __tablename__ = "payment"
    __table_args__ = (
        CheckConstraint("state IN ('PENDING', 'COMPLETED', 'FAILED', 'REFUNDING', 'REFUNDED')", name="payment_state"),
        CheckConstraint("state <> 'COMPLETED' OR charge_id IS NOT NULL", name="payment_completed_by_a_charge"),
        # Nearly every payment ends up COMPLETED; operators look for the others.
        Index("payment_not_completed", "state", "order_id", postgresql_where=text("state <> 'COMPLETED'")),
    )

    order_id: str = Field(primary_key=True, sa_type=Text)
    state: str = Field(sa_type=Text)
    amount: int = Field(sa_type=BigInteger)
    currency: str = Field(sa_type=Text)
    charge_id: str | None = Field(default=None, sa_type=Text)
    refund_id: str | None = Field(default=None, sa_type=Text)
    reason: str | None = Field(default=None, sa_type=Text)
    outcome: int = Field(default=0, sa_type=Integer, sa_column_kwargs={"server_default": "0"})
    created_at: datetime = Field(
        sa_type=DateTime(timezone=True),
        sa_column_kwargs={"server_default": func.now()},
    )
    updated_at: datetime = Field(
        sa_type=DateTime(timezone=True),
        sa_column_kwargs={"server_default": func.now()},
    )


class RequestedRefundRow(Tables, table=True):
    """A requested refund of a confirmed order. `reference` is the gateway's id of it, or an operator's.

    The refunds that have not FAILED never exceed the payment: that is decided while the payment's row is locked.
    `outcome` numbers the outcomes that were published.
    """

    __tablename__ = "requested_refund"
    __table_args__ = (
        CheckConstraint("state IN ('PENDING', 'SUCCEEDED', 'FAILED')", name="requested_refund_state"),
        CheckConstraint("amount > 0", name="requested_refund_amount"),
        CheckConstraint("(state = 'SUCCEEDED') = (reference IS NOT NULL)", name="requested_refund_reference"),
        Index("requested_refund_order", "order_id"),
        # Nearly every refund succeeds; operators look for the others.
        Index("requested_refund_open", "order_id", postgresql_where=text("state <> 'SUCCEEDED'")),
    )

    refund_id: str = Field(primary_key=True, sa_type=Text)
    order_id: str = Field(sa_type=Text)
    amount: int = Field(sa_type=BigInteger)
    currency: str = Field(sa_type=Text)
    state: str = Field(sa_type=Text)
    reason: str | None = Field(default=None, sa_type=Text)
    reference: str | None = Field(default=None, sa_type=Text)
    outcome: int = Field(default=0, sa_type=Integer, sa_column_kwargs={"server_default": "0"})
    created_at: datetime = Field(sa_type=DateTime(timezone=True), sa_column_kwargs={"server_default": func.now()})
    updated_at: datetime = Field(sa_type=DateTime(timezone=True), sa_column_kwargs={"server_default": func.now()})


class DisputeRow(Tables, table=True):
    """Money that the customer's bank has taken back, by the gateway's id of the dispute."""

    __tablename__ = "dispute"
    __table_args__ = (Index("dispute_order", "order_id"),)

    id: str = Field(primary_key=True, sa_type=Text)
    order_id: str = Field(sa_type=Text)
    charge_id: str = Field(sa_type=Text)
    amount: int = Field(sa_type=BigInteger)
    currency: str = Field(sa_type=Text)
    noticed_at: datetime = Field(sa_type=DateTime(timezone=True), sa_column_kwargs={"server_default": func.now()})
