"""Outcomes of a refund are numbered, since one that has succeeded may fail later. The release before numbers none."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("requested_refund", sa.Column("outcome", sa.Integer, nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("requested_refund", "outcome")
