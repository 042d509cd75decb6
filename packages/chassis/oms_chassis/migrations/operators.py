"""Migrations for the tables that operators need, in every service."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

_NOW = sa.text("clock_timestamp()")
# Privileges would not be enough: the service owns its tables, and an owner has all privileges.
_APPEND_ONLY = """
CREATE FUNCTION audit_log_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_log is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_log_keeps_rows BEFORE UPDATE OR DELETE ON audit_log
    FOR EACH ROW EXECUTE FUNCTION audit_log_is_append_only();
CREATE TRIGGER audit_log_keeps_all BEFORE TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only();
"""


def create_audit_log() -> None:
    """Create the log of operators' acts. Triggers prevent changes to it."""
    op.create_table(
        "audit_log",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=_NOW),
        sa.Column("operator", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("before", JSONB),
        sa.Column("after", JSONB),
    )
    op.create_index("audit_log_subject", "audit_log", ["subject", "id"])
    op.execute(_APPEND_ONLY)


def create_dead_letters() -> None:
    """Create the table of dead letters, so that operators can list and redrive them."""
    op.create_table(
        "dead_letter",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("partition", sa.Integer, nullable=False),
        sa.Column("record_offset", sa.BigInteger, nullable=False),
        sa.Column("key", sa.LargeBinary),
        sa.Column("value", sa.LargeBinary),
        sa.Column("headers", JSONB, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("subject", sa.Text),
        sa.Column("dead_at", sa.DateTime(timezone=True), nullable=False, server_default=_NOW),
        sa.Column("state", sa.Text, nullable=False, server_default="dead"),
        sa.Column("settled_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("state IN ('dead', 'redriven', 'dropped')", name="dead_letter_state"),
    )
    op.create_index("dead_letter_dead", "dead_letter", ["id"], postgresql_where=sa.text("state = 'dead'"))
    op.create_index("dead_letter_dead_at", "dead_letter", ["dead_at"])
    op.create_index("dead_letter_subject", "dead_letter", ["subject"])


def drop_operators_tables() -> None:
    """Drop both tables."""
    op.drop_table("dead_letter")
    op.drop_table("audit_log")
    op.execute("DROP FUNCTION audit_log_is_append_only()")
