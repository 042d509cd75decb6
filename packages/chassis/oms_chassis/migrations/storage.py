"""How the tables that every service has are stored."""

from alembic import op

_OFTEN = "autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0"


def tune_queues() -> None:
    """Storage settings of tables whose rows come and go: a migration of each service.

    The outbox and the jobs are small, and whoever looks for the first row steps over those that are gone: they are
    vacuumed after so many of them, whatever their number. The inbox is large, and loses a chunk at a time. None of
    them has a fillfactor: what is updated in a job is part of an index, so that no update stays within its page.
    """
    for table in ("outbox", "job"):
        op.execute(f"ALTER TABLE {table} SET ({_OFTEN})")
    op.execute("ALTER TABLE inbox SET (autovacuum_vacuum_scale_factor = 0.02)")


def untune_queues() -> None:
    """Back to the settings that every table has."""
    names = ", ".join(setting.partition("=")[0].strip() for setting in _OFTEN.split(","))
    for table in ("outbox", "job", "inbox"):
        op.execute(f"ALTER TABLE {table} RESET ({names})")
