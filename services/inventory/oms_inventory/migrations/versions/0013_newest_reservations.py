"""The newest reservations of an item are found without reading all the others."""

from alembic import op

from oms_chassis.migrations import indexes

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    indexes.create("reservation_item_order", "reservation", ["item_id", "order_id"])


def downgrade() -> None:
    op.drop_index("reservation_item_order", "reservation")
