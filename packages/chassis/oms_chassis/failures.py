"""Classifies database errors: the database is unavailable, the work is too much at once, or it can never succeed."""

from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

_TOO_MUCH = "54"  # SQLSTATE class: the data are more than Postgres can hold, as in an index
# The server ran out of time, memory or another limit, or failed internally; or one page or file of a table or an index
# is unreadable while all the others are fine.
_STRAINED = {"57014", "53200", "53400", "25P03", "XX000", "XX001", "XX002", "58030", "58P01"}
_LOCKED = "55P03"


def is_unavailable(error: BaseException) -> bool:
    """Whether the database is to blame, not the statement: the same work may succeed later."""
    if sqlstate(error).startswith(_TOO_MUCH):
        return False
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return isinstance(error, OperationalError | InterfaceError | InternalError | PoolTimeout)


def is_strain(error: BaseException) -> bool:
    """Whether the database reported that the work is too much for it: less at a time may succeed."""
    return sqlstate(error) in _STRAINED


def is_locked(error: BaseException) -> bool:
    """Whether the lock timeout has passed: work that does not need the locked row or table may succeed."""
    return sqlstate(error) == _LOCKED


def may_do_in_parts(error: BaseException) -> bool:
    """Whether a part of the same work may succeed: it was too much at once, or only some of it needs what is locked."""
    return is_strain(error) or is_locked(error)


def blocks_all_work(error: BaseException) -> bool:
    """Whether any other work would fail in the same way: the schema does not fit, or the database is unavailable."""
    return is_of_the_schema(error) or (is_unavailable(error) and not may_do_in_parts(error))


def is_of_the_schema(error: BaseException) -> bool:
    """Whether a table, a column or a privilege is missing: such statements fail until that is repaired."""
    return isinstance(error, ProgrammingError)


def sqlstate(error: BaseException) -> str:
    """Return the server's code for an error; empty if it has none."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) or ""
