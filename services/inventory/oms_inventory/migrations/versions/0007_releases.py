"""Orders may be cancelled: what they held is released. The release before never releases anything, and adds up, too."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("allocation", sa.Column("cancelled_at", sa.DateTime(timezone=True)))
    op.add_column("item", sa.Column("released", sa.BigInteger, server_default="0", nullable=False))
    op.add_column("reservation", sa.Column("released", sa.BigInteger, server_default="0", nullable=False))
    op.create_check_constraint("reservation_released", "reservation", "released BETWEEN 0 AND quantity")
    op.drop_constraint("item_adds_up", "item")
    op.create_check_constraint("item_adds_up", "item", "initial + restocked = on_hand + sold - released")


def downgrade() -> None:
    op.drop_constraint("item_adds_up", "item")
    op.execute("UPDATE item SET sold = sold - released")
    op.drop_constraint("reservation_released", "reservation")
    op.drop_column("reservation", "released")
    op.drop_column("item", "released")
    op.drop_column("allocation", "cancelled_at")
    op.create_check_constraint("item_adds_up", "item", "initial + restocked = on_hand + sold")
