"""Executes statements directly on the driver.

SQLAlchemy manages connections, transactions and errors, but its own execution of a statement, although there is nothing
to compile, costs as much as the driver's work.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, cast

import psycopg
from psycopg.rows import namedtuple_row
from pydantic_core import to_json
from sqlalchemy import Connection


class Row(Protocol):
    """A row as the driver returns it: a named tuple of its columns."""

    _fields: tuple[str, ...]

    def __getattr__(self, name: str, /) -> Any: ...
    def __getitem__(self, place: int, /) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...


Rows = Sequence[Row]


def execute(connection: Connection, sql: str, params: Mapping[str, object]) -> Rows:
    """Execute one statement and return its rows, if any. Raises SQLAlchemyError."""
    return execute_counted(connection, sql, params)[0]


def execute_counted(connection: Connection, sql: str, params: Mapping[str, object]) -> tuple[Rows, int]:
    """As `execute`; also returns how many rows were read or written."""
    if not connection.in_transaction():
        connection.begin()  # as SQLAlchemy does: a lost connection must not be replaced within the block
    cursor: psycopg.Cursor[Any] | None = None  # stays None on a closed connection
    try:
        driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
        cursor = driver.cursor(row_factory=namedtuple_row)
        cursor.execute(sql, params)
        returns_rows = cursor.rownumber is not None
        return cast("Rows", cursor.fetchall()) if returns_rows else [], cursor.rowcount
    except psycopg.Error as error:
        # Translate the error as SQLAlchemy does for its own statements; it has no public function for that.
        connection._handle_dbapi_exception(error, sql, params, cast("Any", cursor), None)  # noqa: SLF001


def as_json(value: object) -> str:
    """Return JSON for a parameter; times in ISO form."""
    return to_json(value, fallback=str).decode()
