"""Records which items handlers have seen, and how often, in the table `seen` of the chassis's test database."""

from collections.abc import Iterable

from oms_chassis.db import Database, Transaction

_SEE = """
INSERT INTO seen (item) SELECT item FROM json_to_recordset(%(rows)s::json) AS r(item text)
ON CONFLICT (item) DO UPDATE SET times = seen.times + 1
"""


def note(transaction: Transaction, items: Iterable[str]) -> None:
    """Count each of these items once more."""
    transaction.execute_rows(_SEE, ({"item": item} for item in items))


def seen(database: Database) -> dict[str, int]:
    """Return how often each item was seen."""
    return {row.item: row.times for row in database.execute("SELECT item, times FROM seen")}
