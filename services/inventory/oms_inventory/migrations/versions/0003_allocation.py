"""The table `taking` is named for what it is; a view keeps the old name for pods of the release before."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.rename_table("taking", "allocation")
    op.alter_column("allocation", "is_taken", new_column_name="is_allocated")
    op.execute("CREATE VIEW taking AS SELECT order_id, is_allocated AS is_taken, at FROM allocation")


def downgrade() -> None:
    op.execute("DROP VIEW taking")
    op.alter_column("allocation", "is_allocated", new_column_name="is_taken")
    op.rename_table("allocation", "taking")
