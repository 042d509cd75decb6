"""Outcomes of a cancelled order's refund are numbered, too. The release before numbers none."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("payment", sa.Column("outcome", sa.Integer, nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("payment", "outcome")
