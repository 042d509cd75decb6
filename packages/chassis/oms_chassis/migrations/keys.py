"""Migrations for the table of API keys, in services with public routes."""

import sqlalchemy as sa
from alembic import op


def create_api_keys() -> None:
    """Create the table of `tables.ApiKeyColumns`. The previous release neither reads nor writes it."""
    op.create_table(
        "api_key",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False, unique=True),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("last_used_at", sa.DateTime(timezone=True)),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
    )


def drop_api_keys() -> None:
    """Undo `create_api_keys`."""
    op.drop_table("api_key")
