"""What operators did, and the dead letters that they may redrive."""

from oms_chassis.migrations.operators import create_audit_log, create_dead_letters, drop_operators_tables

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    create_audit_log()
    create_dead_letters()


def downgrade() -> None:
    drop_operators_tables()
