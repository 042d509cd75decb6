"""The payments."""

import sqlalchemy as sa
from alembic import op

from oms_chassis.migrations.shared import create_chassis_tables, drop_chassis_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_chassis_tables()
    op.create_table(
        "payment",
        sa.Column("order_id", sa.Text, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("charge_id", sa.Text),
        sa.Column("refund_id", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.CheckConstraint(
            "state IN ('PENDING', 'COMPLETED', 'FAILED', 'REFUNDING', 'REFUNDED')", name="payment_state"
        ),
        sa.CheckConstraint("state <> 'COMPLETED' OR charge_id IS NOT NULL", name="payment_completed_by_a_charge"),
    )


def downgrade() -> None:
    op.drop_table("payment")
    drop_chassis_tables()
