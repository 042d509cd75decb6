"""Outcomes of a cancelled order's refund are numbered, too. The release before writes none down."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.add_column("timeline", sa.Column("outcome", sa.Integer, nullable=True))


def downgrade() -> None:
    op.drop_column("timeline", "outcome")
