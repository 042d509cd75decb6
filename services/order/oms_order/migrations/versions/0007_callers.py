"""Callers: their keys, who placed an order, and whose request led to a status.

What is there already has no owner: only operators see it once callers are asked who they are.
"""

import sqlalchemy as sa
from alembic import op

from oms_chassis.migrations.keys import create_api_keys, drop_api_keys

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    create_api_keys()
    op.add_column("orders", sa.Column("owner", sa.Text))
    op.create_index("orders_owner", "orders", ["owner", "id"], postgresql_where=sa.text("owner IS NOT NULL"))
    op.add_column("timeline", sa.Column("actor", sa.Text))


def downgrade() -> None:
    op.drop_column("timeline", "actor")
    op.drop_index("orders_owner", "orders")
    op.drop_column("orders", "owner")
    drop_api_keys()
