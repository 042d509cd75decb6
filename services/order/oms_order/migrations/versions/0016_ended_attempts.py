"""It is known of a job whether its call is under way, or it waits for the next one."""

from oms_chassis.migrations.shared import forget_ended_attempts, know_ended_attempts

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    know_ended_attempts()


def downgrade() -> None:
    forget_ended_attempts()
