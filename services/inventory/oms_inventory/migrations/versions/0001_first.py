"""The catalogue, its stock, and what orders took of it."""

import sqlalchemy as sa
from alembic import op

from oms_chassis.migrations.shared import create_chassis_tables, drop_chassis_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_chassis_tables()
    op.create_table(
        "item",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("unit_price", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("initial", sa.BigInteger, nullable=False),
        sa.Column("restocked", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("on_hand", sa.BigInteger, nullable=False),
        sa.Column("sold", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("version", sa.Integer, nullable=False, server_default="1"),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.CheckConstraint("on_hand >= 0", name="item_on_hand"),
        sa.CheckConstraint("initial + restocked = on_hand + sold", name="item_adds_up"),
        sa.CheckConstraint("unit_price > 0", name="item_unit_price"),
    )
    op.create_table(
        "taking",
        sa.Column("order_id", sa.Text, primary_key=True),
        sa.Column("is_taken", sa.Boolean, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    op.create_table(
        "reservation",
        sa.Column("order_id", sa.Text, sa.ForeignKey("taking.order_id"), primary_key=True),
        sa.Column("item_id", sa.Text, sa.ForeignKey("item.id"), primary_key=True),
        sa.Column("quantity", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "restock",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("item_id", sa.Text, sa.ForeignKey("item.id"), nullable=False),
        sa.Column("quantity", sa.BigInteger, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )


def downgrade() -> None:
    for table in ("restock", "reservation", "taking", "item"):
        op.drop_table(table)
    drop_chassis_tables()
