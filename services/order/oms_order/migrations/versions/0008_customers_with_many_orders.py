"""The few orders of a customer that are not CONFIRMED are found without looking through all the others.

The index is built while no order is written, in the migration's transaction: it reads the table once, which takes a
second or two for a million orders. Callers wait so long, or are answered 503.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_index(
        "orders_email_not_confirmed",
        "orders",
        [sa.text("lower(email)"), "status", "id"],
        postgresql_where=sa.text("status <> 'CONFIRMED'"),
    )


def downgrade() -> None:
    op.drop_index("orders_email_not_confirmed", "orders")
