"""Poolers between a service and Postgres. A session has to be ours for as long as we are connected.

The relay leads by an advisory lock of its session, and every wait is bounded by settings of the session. A pooler that
gives each transaction the server's connection that is free (PgBouncer's transaction mode) breaks both silently: two
relays lead, or none, and somebody else's bounds hold. So it is found out at the start.
"""

from sqlalchemy.exc import OperationalError

from oms_chassis.db import Database
from oms_chassis.statements import execute

# PgBouncer's own words: it gives both the same code, or none.
_REFUSES_OPTIONS, _REFUSES_TRANSACTIONS = "unsupported startup parameter", "transaction blocks not allowed"
_DROPS_SETTINGS = (
    "OMS_DATABASE_URL leads to a pooler that drops the session's settings (the startup parameter `options`):"
    " connect to Postgres itself, or to a pooler in session mode that keeps them"
)
_SHARES_SESSIONS = (
    "OMS_DATABASE_URL leads to a pooler in transaction or statement mode, which locks and settings of a session do not"
    " outlast: connect to Postgres itself, or to a pooler in session mode"
)
_KEPT = "SELECT current_setting('oms.session', true) IS NOT DISTINCT FROM 'ours' AS kept"
_MARK = "SELECT set_config('oms.mark', 'ours', false)"
_MARKED = "SELECT current_setting('oms.mark', true) IS NOT DISTINCT FROM 'ours' AS marked"


class SessionNotOurs(Exception):
    """The database is behind a pooler that a service cannot work with; the message says what to do."""


def check(database: Database) -> None:
    """Raise SessionNotOurs if sessions are not ours. Takes two connections. SQLAlchemyError if the database is away."""
    try:
        is_kept = bool(database.execute(_KEPT)[0].kept)
    except OperationalError as error:
        if _REFUSES_TRANSACTIONS in str(error.orig):
            raise SessionNotOurs(_SHARES_SESSIONS) from None
        if _REFUSES_OPTIONS not in str(error.orig):
            raise
        is_kept = False
    if not is_kept:
        raise SessionNotOurs(_DROPS_SETTINGS)
    if _is_shared(database):
        raise SessionNotOurs(_SHARES_SESSIONS)


def _is_shared(database: Database) -> bool:
    """Whether a transaction of one connection takes the server's session that another one has marked."""
    with database.autocommit() as ours:
        execute(ours, _MARK, {})
        with database.autocommit() as other:
            execute(other, "BEGIN", {})
            is_taken = bool(execute(other, _MARKED, {})[0].marked)
            is_kept = bool(execute(ours, _MARKED, {})[0].marked)
            execute(other, "ROLLBACK", {})
    return is_taken or not is_kept
