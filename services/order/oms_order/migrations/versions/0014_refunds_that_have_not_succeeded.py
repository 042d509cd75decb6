"""The few refunds that have not succeeded are found, in the order of their ids, without looking through all others."""

import sqlalchemy as sa
from alembic import op

from oms_chassis.migrations import indexes

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    indexes.create("refund_not_succeeded", "refund", ["id"], postgresql_where=sa.text("status <> 'SUCCEEDED'"))


def downgrade() -> None:
    op.drop_index("refund_not_succeeded", "refund")
