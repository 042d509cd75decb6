"""A step of a timeline may have a note: what the customer who cancelled had to say."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("timeline", sa.Column("note", sa.Text))


def downgrade() -> None:
    op.drop_column("timeline", "note")
