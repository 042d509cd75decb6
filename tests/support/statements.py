"""Records the statements that a database of OMS runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import psycopg
from sqlalchemy import event

from oms_chassis.db import Database


@dataclass(frozen=True)
class Statement:
    """A statement that was run, and the number of rows that it affected or returned."""

    sql: str
    rows: int
    has_returned: bool


@contextmanager
def statements(database: Database) -> Iterator[list[Statement]]:
    """Yield the statements of the block, over connections that are taken in it."""
    found: list[Statement] = []

    class Noting(psycopg.Cursor[Any]):
        def execute(self, query: Any, *args: Any, **how: Any) -> Self:
            super().execute(query, *args, **how)
            found.append(Statement(str(query), self.rowcount, self.description is not None))
            return self

    def take(connection: Any, *_: object) -> None:
        connection.cursor_factory = Noting

    def give_back(connection: Any, *_: object) -> None:
        connection.cursor_factory = psycopg.Cursor

    event.listen(database.engine, "checkout", take)
    event.listen(database.engine, "checkin", give_back)
    yield found
    event.remove(database.engine, "checkout", take)
    event.remove(database.engine, "checkin", give_back)
