"""Reservations are found by their item in the index that the migration before made: the release before uses it, too."""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.drop_index("reservation_item", "reservation", if_exists=True)


def downgrade() -> None:
    op.create_index("reservation_item", "reservation", ["item_id"])
