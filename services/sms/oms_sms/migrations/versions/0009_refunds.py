"""Customers are notified of refunds. The release before shows such a message as one about an order."""

from oms_notifications.schema import forget_refunds, know_refunds

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    know_refunds()


def downgrade() -> None:
    forget_refunds()
