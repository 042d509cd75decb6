"""The tables that every service has, and the one of this service."""

from oms_chassis.migrations.shared import create_chassis_tables, drop_chassis_tables
from oms_notifications.schema import create_message_table, drop_message_table

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_chassis_tables()
    create_message_table()


def downgrade() -> None:
    drop_message_table()
    drop_chassis_tables()
