"""Who placed an order is erased with its customer: also from the orders that an earlier release erased."""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    for table in ("timeline", "refund"):
        op.execute(f"""
            UPDATE {table} SET actor = NULL FROM orders
            WHERE lower(email) = '(erased)' AND {table}.order_id = orders.id AND {table}.actor = orders.owner
        """)
    op.execute("UPDATE orders SET owner = NULL WHERE lower(email) = '(erased)' AND owner IS NOT NULL")


def downgrade() -> None:
    """There is nothing to be had back."""
