"""What was sold may come back. The release before counts it among what was released, and adds up."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "stock_return",
        sa.Column("refund_id", sa.Text, primary_key=True),
        sa.Column("item_id", sa.Text, primary_key=True),
        sa.Column("order_id", sa.Text, nullable=False),
        sa.Column("quantity", sa.BigInteger, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.CheckConstraint("quantity > 0", name="stock_return_quantity"),
    )
    op.create_index("stock_return_order", "stock_return", ["order_id"])
    op.drop_constraint("movement_kind", "movement")
    op.create_check_constraint(
        "movement_kind", "movement", "kind IN ('restocked', 'released', 'returned', 'corrected')"
    )


def downgrade() -> None:
    op.drop_constraint("movement_kind", "movement")
    op.execute("UPDATE movement SET kind = 'released' WHERE kind = 'returned'")
    op.create_check_constraint("movement_kind", "movement", "kind IN ('restocked', 'released', 'corrected')")
    op.drop_table("stock_return")
