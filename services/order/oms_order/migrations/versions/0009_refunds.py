"""Confirmed orders may be refunded, in part or in full, and their timelines show it.

The release before shows such a step as another CONFIRMED, and knows of no refund.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "refund",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("order_id", sa.Uuid, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("lines", JSONB, nullable=False),
        sa.Column("restock", sa.Boolean, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("failure", sa.Text),
        sa.Column("actor", sa.Text),
        sa.Column(
            "requested_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("clock_timestamp()")
        ),
        sa.Column("settled_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("status IN ('PENDING', 'SUCCEEDED', 'FAILED')", name="refund_status"),
        sa.CheckConstraint("amount > 0", name="refund_amount"),
    )
    op.create_index("refund_order", "refund", ["order_id"])
    op.create_index("refund_pending", "refund", ["requested_at"], postgresql_where=sa.text("status = 'PENDING'"))
    op.add_column("timeline", sa.Column("refund_id", sa.Uuid))
    op.add_column("timeline", sa.Column("refund_status", sa.Text))


def downgrade() -> None:
    op.drop_column("timeline", "refund_status")
    op.drop_column("timeline", "refund_id")
    op.drop_table("refund")
