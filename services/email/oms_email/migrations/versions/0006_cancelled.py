"""Customers are notified of orders that were cancelled."""

from oms_notifications.schema import forget_cancelled, know_cancelled

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    know_cancelled()


def downgrade() -> None:
    forget_cancelled()
