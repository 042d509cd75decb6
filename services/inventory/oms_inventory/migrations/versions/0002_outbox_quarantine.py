"""Where rows of the outbox go that no broker takes."""

from oms_chassis.migrations.shared import create_outbox_quarantine, drop_outbox_quarantine

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    create_outbox_quarantine()


def downgrade() -> None:
    drop_outbox_quarantine()
