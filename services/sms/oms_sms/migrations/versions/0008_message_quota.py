"""Messages are counted by recipient and by prefix, for the limits on them."""

from oms_notifications.schema import create_message_quota, drop_message_quota

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    create_message_quota()


def downgrade() -> None:
    drop_message_quota()
