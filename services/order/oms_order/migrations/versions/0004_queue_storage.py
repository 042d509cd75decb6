"""Tables whose rows come and go, or change, are vacuumed often: a share of one that grows for ever is too much."""

from alembic import op

from oms_chassis.migrations.storage import tune_queues, untune_queues

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    tune_queues()
    for table in ("orders", "idempotency"):
        op.execute(f"ALTER TABLE {table} SET (autovacuum_vacuum_scale_factor = 0.02)")


def downgrade() -> None:
    untune_queues()
    for table in ("orders", "idempotency"):
        op.execute(f"ALTER TABLE {table} RESET (autovacuum_vacuum_scale_factor)")
