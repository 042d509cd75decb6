"""Pages of the admin API's lists: ordered by id, continued by cursor."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Annotated, TypeVar

from fastapi import Query, Response

from oms_chassis.http import pages
from oms_chassis.http.bodies import PRINTABLE, View
from oms_chassis.statements import Rows

PREFIX = "/admin"
Text = Annotated[str | None, Query(max_length=200, pattern=PRINTABLE)]
Limit = Annotated[int, Query(ge=1, le=500), pages.DIGITS]
RowId = Annotated[int, pages.DIGITS]
Cursor = Annotated[str | None, Query(max_length=600)]
V = TypeVar("V", bound=View)
T = TypeVar("T")
_MARK = 4  # bytes that identify the list of a cursor


def position(path: str, cursor: str | None, first: T, parse: Callable[[bytes], T]) -> T:
    """Return the position at which the previous page ended, or `first` without a cursor. Raises BadCursor, also for a
    cursor of another list, with which elements would be missed."""

    def own(marked: bytes) -> T:
        if marked[:_MARK] != _mark(path):
            raise ValueError
        return parse(marked[_MARK:])

    return first if cursor is None else pages.decode(cursor, own)


def cursor_after(path: str, position: bytes) -> str:
    """Return the cursor that continues the list at a path after this position."""
    return pages.encode(_mark(path) + position)


def _mark(path: str) -> bytes:
    return hashlib.sha256(path.encode()).digest()[:_MARK]


def page(
    response: Response,
    path: str,
    query: Mapping[str, str | int | None],
    rows: Rows,
    view: Callable[..., V],
    column: str = "id",
) -> list[V]:
    """Return the views of a page's rows. The query asked for one row more than the page's limit: if it is there, set
    the Link header to the page after the last row's `column`."""
    limit = int(query["limit"] or 0)
    if len(rows) > limit:
        cursor = cursor_after(path, str(getattr(rows[limit - 1], column)).encode())
        response.headers["Link"] = pages.next_link(f"{PREFIX}{path}", query, cursor)
    return [view(row) for row in rows[:limit]]
