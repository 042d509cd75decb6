"""Every movement of stock is written down; what there was before is its beginning."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "movement",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("item_id", sa.Text, sa.ForeignKey("item.id"), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("quantity", sa.BigInteger, nullable=False),
        sa.Column("order_id", sa.Text),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("why", sa.Text),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.CheckConstraint("kind IN ('restocked', 'released', 'corrected')", name="movement_kind"),
        sa.CheckConstraint("quantity <> 0", name="movement_quantity"),
    )
    op.create_index("movement_item", "movement", ["item_id", "at"])
    op.create_index("reservation_item", "reservation", ["item_id"])
    op.add_column("item", sa.Column("corrected", sa.BigInteger, server_default="0", nullable=False))
    op.drop_constraint("item_adds_up", "item")
    op.create_check_constraint("item_adds_up", "item", "initial + restocked + corrected = on_hand + sold - released")
    op.execute("""
        INSERT INTO movement (item_id, kind, quantity, who, why)
        SELECT id, 'restocked', restocked, 'migration', 'before the journal began' FROM item WHERE restocked > 0
    """)
    op.execute("""
        INSERT INTO movement (item_id, kind, quantity, order_id, who)
        SELECT item_id, 'released', released, order_id, 'order' FROM reservation WHERE released > 0
    """)


def downgrade() -> None:
    op.drop_constraint("item_adds_up", "item")
    op.execute("UPDATE item SET initial = initial + corrected")
    op.create_check_constraint("item_adds_up", "item", "initial + restocked = on_hand + sold - released")
    op.drop_column("item", "corrected")
    op.drop_index("reservation_item", "reservation")
    op.drop_table("movement")
