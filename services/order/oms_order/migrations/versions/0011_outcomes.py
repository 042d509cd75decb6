"""Outcomes of a refund are numbered, since one that has succeeded may fail later. The release before knows one."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("refund", sa.Column("outcome", sa.Integer, nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("refund", "outcome")
