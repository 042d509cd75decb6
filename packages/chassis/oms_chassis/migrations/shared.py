"""What migrations make and drop: the inbox, the outbox and the jobs, which every service has."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB


def create_chassis_tables() -> None:
    """The inbox, the outbox and the jobs: called by each service's first migration."""
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
    """Where the relay puts rows of the outbox that no broker takes: each service's second migration."""
    op.create_table(
        "outbox_quarantine",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),  # the one that the row had in the outbox
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
    """What a job needs so that it may be given up and kept: a migration of each service.

    The release before neither reads nor writes these columns; a dead job is never due, so that it does not claim one.
    """
    op.add_column("job", sa.Column("failed_calls", sa.Integer, nullable=False, server_default="0"))
    op.add_column("job", sa.Column("failing_since", sa.DateTime(timezone=True)))
    op.add_column("job", sa.Column("outcome", JSONB))
    op.add_column("job", sa.Column("dead_at", sa.DateTime(timezone=True)))
    op.create_index("job_dead", "job", ["dead_at"], postgresql_where=sa.text("dead_at IS NOT NULL"))


def reduce_jobs() -> None:
    """Drop what the migration made. Dead jobs go with it: the release before would make their calls again."""
    op.execute("DELETE FROM job WHERE dead_at IS NOT NULL")
    op.drop_index("job_dead", "job")
    for column in ("failed_calls", "failing_since", "outcome", "dead_at"):
        op.drop_column("job", column)


def know_ended_attempts() -> None:
    """Whether a job's call is under way, or it waits for the next one: a migration of each service.

    The release before does not write it: what that has made due again counts as under way if it is due within a lease.
    """
    op.add_column("job", sa.Column("ended_attempt", sa.Integer, nullable=False, server_default="0"))


def forget_ended_attempts() -> None:
    """Drop what the migration made."""
    op.drop_column("job", "ended_attempt")
