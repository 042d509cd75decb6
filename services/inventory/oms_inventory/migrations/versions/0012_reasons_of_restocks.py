"""A restock that is sent again under its key is the same only if its reason is, too."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("restock", sa.Column("why", sa.Text))


def downgrade() -> None:
    op.drop_column("restock", "why")
