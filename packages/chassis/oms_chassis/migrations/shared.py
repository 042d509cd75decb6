"""Migrations for the tables that every service has: the inbox, the outbox and the jobs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB


def create_chassis_tables() -> None:
    """Create the inbox, the outbox and the jobs. Called by each service's first migration."""
    op.create_table(
        "inbox",
        sa.Column("event_id", sa.Text, primary_key=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    op.create_index("inbox_received_at", "inbox", ["received_at"])
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("key", sa.LargeBinary),
        sa.Column("value", sa.LargeBinary),
        sa.Column("headers", JSONB),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    op.create_table(
        "job",
        sa.Column("queue", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("payload", JSONB, nullable=False),
        sa.Column("traceparent", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("run_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("last_error", sa.Text),
    )
    op.create_index("job_due", "job", ["queue", "run_at"])


def drop_chassis_tables() -> None:
    """Undo `create_chassis_tables`."""
    for table in ("job", "outbox", "inbox"):
        op.drop_table(table)


def create_outbox_quarantine() -> None:
    """Create the quarantine, for rows of the outbox that no broker accepts. Called by each service's second
    migration."""
    op.create_table(
        "outbox_quarantine",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),  # the row's id in the outbox
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("key", sa.LargeBinary),
        sa.Column("value", sa.LargeBinary),
        sa.Column("headers", JSONB),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("quarantined_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("error", sa.Text, nullable=False),
    )


def drop_outbox_quarantine() -> None:
    """Undo `create_outbox_quarantine`."""
    op.drop_table("outbox_quarantine")


def extend_jobs() -> None:
    """Add the columns with which a job can be given up and kept. Called by a migration of each service.

    The previous release neither reads nor writes these columns. It does not claim a dead job, because that is never
    due.
    """
    op.add_column("job", sa.Column("failed_calls", sa.Integer, nullable=False, server_default="0"))
    op.add_column("job", sa.Column("failing_since", sa.DateTime(timezone=True)))
    op.add_column("job", sa.Column("outcome", JSONB))
    op.add_column("job", sa.Column("dead_at", sa.DateTime(timezone=True)))
    op.create_index("job_dead", "job", ["dead_at"], postgresql_where=sa.text("dead_at IS NOT NULL"))


def reduce_jobs() -> None:
    """Drop the columns, and delete dead jobs: the previous release would make their calls again."""
    op.execute("DELETE FROM job WHERE dead_at IS NOT NULL")
    op.drop_index("job_dead", "job")
    for column in ("failed_calls", "failing_since", "outcome", "dead_at"):
        op.drop_column("job", column)


def know_ended_attempts() -> None:
    """Add the column that says whether a job's call is under way, or it waits for the next one. Called by a migration
    of each service.

    The previous release does not write it: jobs that it makes due again count as under way if they are due within a
    lease.
    """
    op.add_column("job", sa.Column("ended_attempt", sa.Integer, nullable=False, server_default="0"))


def forget_ended_attempts() -> None:
    """Drop the column."""
    op.drop_column("job", "ended_attempt")
