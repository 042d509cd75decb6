"""What orders took that are deleted is carried, so that the stock's books add up without them.

The release before deletes orders and carries nothing: what it had deleted until now is carried here.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "carried",
        sa.Column("item_id", sa.Text, primary_key=True),
        sa.Column("quantity", sa.BigInteger, nullable=False),
    )
    op.execute("""
        INSERT INTO carried (item_id, quantity)
        SELECT item.id, coalesce(reserved.quantity, 0) - item.sold
        FROM item LEFT JOIN (
            SELECT item_id, sum(quantity)::bigint AS quantity FROM reservation GROUP BY item_id
        ) AS reserved ON reserved.item_id = item.id
        WHERE item.sold <> coalesce(reserved.quantity, 0)
    """)


def downgrade() -> None:
    op.drop_table("carried")
