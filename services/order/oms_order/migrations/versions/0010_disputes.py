"""A timeline shows what customers' banks have taken back. The release before shows such a step as the status again."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("timeline", sa.Column("dispute_id", sa.Text))
    op.add_column("timeline", sa.Column("disputed", sa.BigInteger))


def downgrade() -> None:
    op.drop_column("timeline", "disputed")
    op.drop_column("timeline", "dispute_id")
