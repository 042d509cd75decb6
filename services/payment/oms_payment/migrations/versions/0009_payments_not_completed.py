"""The few payments that are not COMPLETED are found without looking through all the others."""

import sqlalchemy as sa
from alembic import op

from oms_chassis.migrations import indexes

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    indexes.create(
        "payment_not_completed",
        "payment",
        ["state", "order_id"],
        postgresql_where=sa.text("state <> 'COMPLETED'"),
    )


def downgrade() -> None:
    op.drop_index("payment_not_completed", "payment")
