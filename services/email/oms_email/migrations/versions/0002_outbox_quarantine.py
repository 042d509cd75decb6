"""Where rows of the outbox go that no broker takes."""

from oms_chassis.migrations import create_outbox_quarantine, drop_outbox_quarantine

revision = "0002"
down_revision = "0001"

upgrade = create_outbox_quarantine
downgrade = drop_outbox_quarantine
