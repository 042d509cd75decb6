"""Statements as the driver takes them, and their rows.

SQLAlchemy has the connections, the transactions and the errors: what it does about a statement that it need not compile
costs as much as the driver's own work.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, cast

import psycopg
from psycopg.rows import namedtuple_row
from pydantic_core import to_json
from sqlalchemy import Connection


class Row(Protocol):
    """A row as the driver makes it: a named tuple of its columns."""

    _fields: tuple[str, ...]

    def __getattr__(self, name: str, /) -> Any: ...
    def __getitem__(self, place: int, /) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...


Rows = Sequence[Row]


def execute(connection: Connection, sql: str, params: Mapping[str, object]) -> Rows:
    """One statement as the driver takes it, and its rows, if it returns any. Raises SQLAlchemyError."""
    return execute_counted(connection, sql, params)[0]


def execute_counted(connection: Connection, sql: str, params: Mapping[str, object]) -> tuple[Rows, int]:
    """The same, and how many rows there were or were written."""
    if not connection.in_transaction():
        connection.begin()  # as before its own statements: a connection that is lost is not replaced within the block
    cursor: psycopg.Cursor[Any] | None = None  # none is made on a connection that is closed
    try:
        driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
        cursor = driver.cursor(row_factory=namedtuple_row)
        cursor.execute(sql, params)
        returns_rows = cursor.rownumber is not None
        return cast("Rows", cursor.fetchall()) if returns_rows else [], cursor.rowcount
    except psycopg.Error as error:
        # As it does about its own statements: no public name leads to that.
        connection._handle_dbapi_exception(error, sql, params, cast("Any", cursor), None)  # noqa: SLF001


def as_json(value: object) -> str:
    """JSON for a parameter; times in ISO form."""
    return to_json(value, fallback=str).decode()
