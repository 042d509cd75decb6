"""The one table of the SMS and the Email Service."""

from datetime import datetime

from sqlalchemy import Column, DateTime, Index, Text, text
from sqlmodel import Field, SQLModel


class Message(SQLModel, table=True):
    """What the customer was told about an order: one row per order. Neither the address nor the text is kept."""

    # Few rows are not sent, and those are what an operator asks for.
    __table_args__ = (Index("message_unsent", "created_at", postgresql_where=text("state <> 'sent'")),)

    order_id: str = Field(sa_column=Column(Text, primary_key=True))
    kind: str = Field(sa_column=Column(Text, nullable=False))
    state: str = Field(sa_column=Column(Text, nullable=False))
    attempts: int = 0
    reason: str | None = Field(default=None, sa_column=Column(Text))
    provider_id: str | None = Field(default=None, sa_column=Column(Text))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    sent_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
