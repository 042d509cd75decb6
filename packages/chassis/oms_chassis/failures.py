"""What an error of the database means: its own state, too much work at a time, or a statement that cannot succeed."""

from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

_TOO_MUCH = "54"  # SQLSTATE class: the data are more than Postgres can hold, as in an index
# It ran out of time, memory or some other bound, or failed inside: by its data, or because the server is unwell.
# Or it cannot read one page of a table or an index, or one of their files, and all others well.
_STRAINED = {"57014", "53200", "53400", "25P03", "XX000", "XX001", "XX002", "58030", "58P01"}
_LOCKED = "55P03"


def is_unavailable(error: BaseException) -> bool:
    """Whether an error is the database's state, not the statement's fault: the same work may succeed later."""
    if sqlstate(error).startswith(_TOO_MUCH):
        return False
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return isinstance(error, OperationalError | InterfaceError | InternalError | PoolTimeout)


def is_strain(error: BaseException) -> bool:
    """Whether less work at a time may succeed though the same work does not: the database answers, and says so."""
    return sqlstate(error) in _STRAINED


def is_locked(error: BaseException) -> bool:
    """Whether a row or a table is another session's for longer than is waited for: what needs it not may succeed."""
    return sqlstate(error) == _LOCKED


def may_do_in_parts(error: BaseException) -> bool:
    """Whether a part of the same work may succeed: it was too much, or only a part of it needs what is locked."""
    return is_strain(error) or is_locked(error)


def is_everybodys(error: BaseException) -> bool:
    """Whether whatever else there is to do would fail alike: the schema does not fit, or the database is away."""
    return is_of_the_schema(error) or (is_unavailable(error) and not may_do_in_parts(error))


def is_of_the_schema(error: BaseException) -> bool:
    """Whether a table, a column or a right is missing: no such statement will succeed until that is repaired."""
    return isinstance(error, ProgrammingError)


def sqlstate(error: BaseException) -> str:
    """The server's code for an error, or nothing."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) or ""
