"""Confirmed orders may be refunded, in part or in full. The release before knows of no such refund, and makes none."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "requested_refund",
        sa.Column("refund_id", sa.Text, primary_key=True),
        sa.Column("order_id", sa.Text, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("reference", sa.Text),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.CheckConstraint("state IN ('PENDING', 'SUCCEEDED', 'FAILED')", name="requested_refund_state"),
        sa.CheckConstraint("amount > 0", name="requested_refund_amount"),
        sa.CheckConstraint("(state = 'SUCCEEDED') = (reference IS NOT NULL)", name="requested_refund_reference"),
    )
    op.create_index("requested_refund_order", "requested_refund", ["order_id"])
    op.create_index(
        "requested_refund_open", "requested_refund", ["order_id"], postgresql_where=sa.text("state <> 'SUCCEEDED'")
    )


def downgrade() -> None:
    op.drop_table("requested_refund")
