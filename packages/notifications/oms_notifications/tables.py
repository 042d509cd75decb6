"""The tables of the SMS and the Email Service."""

from datetime import datetime

from sqlalchemy import CheckConstraint, DateTime, Index, Text, func, text
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel


class Tables(SQLModel, registry=registry()):
    """These services have their own registry, because another service may have a table of the same name."""


class MessageRow(Tables, table=True):
    """The message about an order: one row per order, and one per refund. A refund's row has its own id as `order_id`,
    and the order's as `refund_of`. Neither the address nor the text is stored."""

    __tablename__ = "message"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('confirmed', 'declined', 'out-of-stock', 'cancelled', 'refunded')", name="message_kind"
        ),
        CheckConstraint("state IN ('pending', 'sent', 'failed', 'unknown')", name="message_state"),
        # Few messages are unsent, and those are what operators look for.
        Index("message_unsent", "created_at", postgresql_where=text("state <> 'sent'")),
    )

    order_id: str = Field(primary_key=True, sa_type=Text)
    kind: str = Field(sa_type=Text)
    state: str = Field(default="pending", sa_type=Text, sa_column_kwargs={"server_default": "pending"})
    attempts: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    reason: str | None = Field(default=None, sa_type=Text)
    provider_id: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = Field(sa_type=DateTime(timezone=True), sa_column_kwargs={"server_default": func.now()})
    sent_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    refund_of: str | None = Field(default=None, sa_type=Text)


class QuotaRow(Tables, table=True):
    """The number of messages to one recipient or one prefix, in the window that ends at `ends_at`."""

    __tablename__ = "message_quota"
    __table_args__ = (Index("message_quota_ends_at", "ends_at"),)

    bucket: str = Field(primary_key=True, sa_type=Text)
    used: int
    ends_at: datetime = Field(sa_type=DateTime(timezone=True))
