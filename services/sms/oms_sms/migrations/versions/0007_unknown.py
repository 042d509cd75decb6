"""It may be unknown whether a customer got a message."""

from oms_notifications.schema import forget_unknown, know_unknown

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    know_unknown()


def downgrade() -> None:
    forget_unknown()
