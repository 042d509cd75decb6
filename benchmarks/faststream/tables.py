"""The services' tables and events."""

from pydantic import BaseModel
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The base of all tables."""


class Order(Base):
    """An order, in the order service's database."""

    __tablename__ = "faststream_order"
    id: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str]
    total: Mapped[int]


class Item(Base):
    """Stock."""

    __tablename__ = "faststream_item"
    id: Mapped[str] = mapped_column(primary_key=True)
    on_hand: Mapped[int]


class Outbox(Base):
    """An event that has not been sent yet."""

    __tablename__ = "faststream_outbox"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    topic: Mapped[str]
    key: Mapped[str]
    body: Mapped[str]


class Inbox(Base):
    """An event that this service has processed. Each reads one topic, except for order, which needs no inbox."""

    __tablename__ = "faststream_inbox"
    id: Mapped[str] = mapped_column(primary_key=True)


class Event(BaseModel):
    """The data of every event."""

    order_id: str
    name: str
    email: str
    phone_number: str
    item_id: str
    quantity: int
    total: int
    token: str
