"""Cursors, and the header that leads to the next page."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_chassis.http import pages
from oms_chassis.http.pages import BadCursor


@given(st.binary(max_size=70))
def test_a_cursor_decodes_to_the_position_it_was_made_from(position: bytes) -> None:
    assert pages.decode(pages.encode(position), bytes) == position


@pytest.mark.parametrize("cursor", ["A", "AAAA=", "AA AA", "AA+/", "nonsense!", "\u00e9", "AAA\n"])
def test_an_invalid_cursor_is_refused_by_its_field(cursor: str) -> None:
    with pytest.raises(BadCursor) as caught:
        pages.decode(cursor, bytes)
    assert [field for field, _ in caught.value.errors] == ["cursor"]


def test_a_position_that_the_list_cannot_parse_is_refused_too() -> None:
    with pytest.raises(BadCursor):
        pages.decode(pages.encode(b"x"), int)


def test_the_link_to_the_next_page_keeps_the_query() -> None:
    query = {"limit": 5, "status": None, "email": "a@b.example", "since": datetime(2026, 1, 1, tzinfo=UTC)}
    assert pages.next_link("/things", query, "AAAA") == (
        '</things?limit=5&email=a%40b.example&since=2026-01-01+00%3A00%3A00%2B00%3A00&cursor=AAAA>; rel="next"'
    )
