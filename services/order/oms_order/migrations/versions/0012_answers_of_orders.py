"""The answers that keys replay are found by their order: that of an erased customer is deleted."""

from alembic import op

from oms_chassis.migrations import indexes

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    indexes.create("idempotency_order", "idempotency", ["order_id"])


def downgrade() -> None:
    op.drop_index("idempotency_order", "idempotency")
