"""The keys of callers who may change items."""

from oms_chassis.migrations.keys import create_api_keys, drop_api_keys

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    create_api_keys()


def downgrade() -> None:
    drop_api_keys()
