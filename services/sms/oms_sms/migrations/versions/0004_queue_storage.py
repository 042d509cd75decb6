"""Tables whose rows come and go are vacuumed often."""

from oms_chassis.migrations.storage import tune_queues, untune_queues

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    tune_queues()


def downgrade() -> None:
    untune_queues()
