"""The jobs of a queue that is a day behind are listed as those of any other: page by page, by the table's key."""

import pytest
from support.plans import indexes

from oms_chassis.db import Database
from oms_chassis.jobs import listing
from oms_chassis.jobs.listing import Filters

_FILL = """
INSERT INTO job (queue, id, subject, payload)
SELECT CASE n %% 2 WHEN 0 THEN 'charge' ELSE 'refund' END, 'o' || lpad(n::text, 12, '0'), 'o' || n, '{}'
FROM generate_series(1, 20000) AS n
"""


@pytest.mark.parametrize("filters", [Filters(), Filters(queue="charge"), Filters(state="waiting")], ids=str)
@pytest.mark.parametrize("after", ["", "charge o000000010000"], ids=["the first", "another"])
def test_a_page_of_very_many_jobs_is_a_range_of_the_key(database: Database, filters: Filters, after: str) -> None:
    database.execute(_FILL)
    database.execute("ANALYZE job")
    (found,) = indexes(database, lambda asked: listing.page(asked, filters, after, 51))
    assert found == {"job_pkey"}


def test_pages_cover_all_queues_whatever_the_ids_of_their_jobs(database: Database) -> None:
    places = [(queue, job) for queue in ("call", "call-back", "calls") for job in ("", "a", "a b", "b")]
    for queue, job in reversed(places):
        database.execute(
            "INSERT INTO job (queue, id, subject, payload) VALUES (%(queue)s, %(id)s, 'o', '{}')", queue=queue, id=job
        )
    found, after = [], ""
    while rows := listing.page(database, Filters(), after, 1):
        found += [(row.queue, row.id) for row in rows]
        after = rows[-1].place
    assert sorted(found) == places
    assert [row.id for row in listing.page(database, Filters(queue="call"), "call a", 9)] == ["a b", "b"]
