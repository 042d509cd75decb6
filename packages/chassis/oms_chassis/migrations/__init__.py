"""Migrations: each service brings its versions, the chassis the way to run them and the tables that all share."""

from importlib.resources import files
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from oms_chassis.db import Database

_LOCK = 0x6F6D7301  # any number, the same in every replica: one of them migrates, the others wait


def upgrade(database: Database, package: str) -> None:
    """Bring a database to the newest version of `package`; safe to call from several replicas at once."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("version_locations", str(files(package) / "migrations" / "versions"))
    config.set_main_option("path_separator", "newline")
    with database.engine.connect() as connection:
        connection.exec_driver_sql(f"SELECT pg_advisory_lock({_LOCK})")
        connection.commit()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
        connection.exec_driver_sql(f"SELECT pg_advisory_unlock({_LOCK})")
        connection.commit()


def create_chassis_tables() -> None:
    """The inbox, the outbox and the jobs: called by each service's first migration."""
    from alembic import op

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
    """The way back."""
    from alembic import op

    for table in ("job", "outbox", "inbox"):
        op.drop_table(table)


def create_outbox_quarantine() -> None:
    """Where the relay puts rows of the outbox that no broker takes: each service's second migration."""
    from alembic import op

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
    """The way back."""
    from alembic import op

    op.drop_table("outbox_quarantine")
