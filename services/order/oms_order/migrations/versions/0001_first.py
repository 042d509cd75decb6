"""The first tables.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

from oms_chassis.migrations.shared import create_chassis_tables, drop_chassis_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _text(name: str, *, nullable: bool = False, primary_key: bool = False) -> "sa.Column[str]":
    return sa.Column(name, sa.Text, nullable=nullable, primary_key=primary_key)


def _time(name: str, default: str | None = None) -> "sa.Column[object]":
    server_default = sa.text(default) if default else None
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=server_default)


def upgrade() -> None:
    create_chassis_tables()
    _create_orders()
    _create_what_belongs_to_orders()
    _create_items()
    _create_idempotency()


def _create_orders() -> None:
    op.create_table(
        "orders",
        sa.Column("id", sa.Uuid, primary_key=True),
        _text("status"),
        _text("reason", nullable=True),
        sa.Column("facts", ARRAY(sa.Text), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        *(_text(name) for name in ("name", "email", "phone")),
        _text("phone_e164", nullable=True),
        *(_text(name) for name in ("card_token", "card_brand", "card_last4", "card_expiry")),
        sa.Column("total", sa.BigInteger, nullable=False),
        _text("currency"),
        _time("placed_at"),
        _time("updated_at"),
        sa.CheckConstraint(
            "status IN ('PENDING', 'PAID', 'CONFIRMED', 'CANCELLING', 'CANCELLED')", name="orders_status"
        ),
        sa.CheckConstraint("(reason IS NOT NULL) = (status LIKE 'CANCEL%')", name="orders_reason"),
    )
    op.create_index(
        "orders_not_confirmed", "orders", ["status", "id"], postgresql_where=sa.text("status <> 'CONFIRMED'")
    )
    op.create_index("orders_email", "orders", [sa.text("lower(email)"), "id"])


def _create_what_belongs_to_orders() -> None:
    op.create_table(
        "order_line",
        sa.Column("order_id", sa.Uuid, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        _text("item_id"),
        _text("name"),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("unit_price", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "timeline",
        sa.Column("order_id", sa.Uuid, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        _text("status"),
        _text("reason", nullable=True),
        _time("at"),
    )


def _create_items() -> None:
    op.create_table(
        "item",
        _text("id", primary_key=True),
        _text("name"),
        sa.Column("unit_price", sa.BigInteger, nullable=False),
        _text("currency"),
        sa.Column("available", sa.Boolean, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        _time("seen_at", "clock_timestamp()"),
    )
    op.create_index("item_seen_at", "item", ["seen_at"])


def _create_idempotency() -> None:
    op.create_table(
        "idempotency",
        _text("scope", primary_key=True),
        _text("key", primary_key=True),
        _text("fingerprint"),
        sa.Column("order_id", sa.Uuid, nullable=False),
        _text("answer"),
        _time("created_at", "now()"),
    )
    op.create_index("idempotency_created_at", "idempotency", ["created_at"])


def downgrade() -> None:
    for table in ("idempotency", "item", "timeline", "order_line", "orders"):
        op.drop_table(table)
    drop_chassis_tables()
