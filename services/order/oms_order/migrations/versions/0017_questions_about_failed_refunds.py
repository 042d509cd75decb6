"""Payment is asked, ever more rarely, whether a refund that has failed still has."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.add_column("refund", sa.Column("asked", sa.Integer, nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("refund", "asked")
