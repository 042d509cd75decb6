"""Storage settings of the tables that every service has."""

from alembic import op

_OFTEN = "autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0"


def tune_queues() -> None:
    """Set the storage settings of tables whose rows come and go. Called by a migration of each service.

    The outbox and the jobs are small, and a query for the first row has to step over deleted ones: so they are vacuumed
    after a fixed number of deletions, whatever their size. The inbox is large, and loses a chunk at a time. None of
    them has a fillfactor: the columns of a job that are updated are part of an index, so that an update never stays
    within its page.
    """
    for table in ("outbox", "job"):
        op.execute(f"ALTER TABLE {table} SET ({_OFTEN})")
    op.execute("ALTER TABLE inbox SET (autovacuum_vacuum_scale_factor = 0.02)")


def untune_queues() -> None:
    """Reset the storage settings to the defaults."""
    names = ", ".join(setting.partition("=")[0].strip() for setting in _OFTEN.split(","))
    for table in ("outbox", "job", "inbox"):
        op.execute(f"ALTER TABLE {table} RESET ({names})")
