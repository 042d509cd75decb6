"""Jobs that are given up are kept, and their failed calls are counted apart from their claims."""

from oms_chassis.migrations.shared import extend_jobs, reduce_jobs

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    extend_jobs()


def downgrade() -> None:
    reduce_jobs()
