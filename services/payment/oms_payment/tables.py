"""The table of payments. Amounts are in minor units."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Text, func
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel


class Tables(SQLModel, registry=registry()):
    """A registry of this service's own: another service may have a table of the same name."""


class PaymentRow(Tables, table=True):
    """One order's payment. The card's token is not here: it lives in the charge's job, and ends with it."""

    __tablename__ = "payment"
    __table_args__ = (
        CheckConstraint("state IN ('PENDING', 'COMPLETED', 'FAILED', 'REFUNDING', 'REFUNDED')", name="payment_state"),
        CheckConstraint("state <> 'COMPLETED' OR charge_id IS NOT NULL", name="payment_completed_by_a_charge"),
    )

    order_id: str = Field(primary_key=True, sa_type=Text)
    state: str = Field(sa_type=Text)
    amount: int = Field(sa_type=BigInteger)
    currency: str = Field(sa_type=Text)
    charge_id: str | None = Field(default=None, sa_type=Text)
    refund_id: str | None = Field(default=None, sa_type=Text)
    reason: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = Field(
        sa_type=DateTime(timezone=True),
        sa_column_kwargs={"server_default": func.now()},
    )
    updated_at: datetime = Field(
        sa_type=DateTime(timezone=True),
        sa_column_kwargs={"server_default": func.now()},
    )
