"""Pages of what the admin API lists: in the order of an id, by cursor."""

from collections.abc import Callable, Mapping
from typing import Annotated, TypeVar

from fastapi import Query, Response

from oms_chassis.db import Rows
from oms_chassis.http import pages
from oms_chassis.http.bodies import PRINTABLE, View

PREFIX = "/admin"
Text = Annotated[str | None, Query(max_length=200, pattern=PRINTABLE)]
Limit = Annotated[int, Query(ge=1, le=500)]
Cursor = Annotated[str | None, Query(max_length=400)]
V = TypeVar("V", bound=View)


def position(cursor: str | None) -> int | None:
    """The id at which the page before this one ended."""
    return None if cursor is None else pages.decode(cursor, pages.number)


def page(
    response: Response,
    path: str,
    query: Mapping[str, str | int | None],
    rows: Rows,
    view: Callable[..., V],
    column: str = "id",
) -> list[V]:
    """The views of a page's rows, of which one more was asked for than `query` has as its limit: is there one, the
    Link header leads to the page after the last row's `column`."""
    limit = int(query["limit"] or 0)
    if len(rows) > limit:
        cursor = pages.encode(str(getattr(rows[limit - 1], column)).encode())
        response.headers["Link"] = pages.next_link(f"{PREFIX}{path}", query, cursor)
    return [view(row) for row in rows[:limit]]
