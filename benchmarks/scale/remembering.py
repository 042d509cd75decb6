"""Measures what it costs to remember one more event, in an inbox with as many events as there are orders."""

from benchmarks.scale.figures import Figure
from oms_chassis.db import Database
from oms_chassis.messaging import inbox
from oms_contracts.envelope import envelope, identity

EVENTS, BATCH = (
    20_000,
    50,
)  # remembered after a checkpoint, and in one transaction; there is a checkpoint every few minutes
CHUNK = 10_000
MOST = 1_000.0  # bytes: if each event were on a page of its own, it would be several thousand


def figures(database: Database, held: int) -> list[Figure]:
    """Measure the write-ahead log per event: the first change of a page after a checkpoint logs the whole page."""
    for _ in range(0, held, CHUNK):
        _remember(database, CHUNK)
    database.execute("VACUUM ANALYZE inbox")
    database.execute("CHECKPOINT")
    before = _written(database)
    for _ in range(0, EVENTS, BATCH):
        _remember(database, BATCH)
    one = (_written(database) - before) / EVENTS
    return [Figure(f"the write-ahead log of an event that is remembered next to {held}", one, MOST, "bytes")]


def _remember(database: Database, count: int) -> None:
    made = [envelope("payment", "paymentCompletedEvent", "an order") for _ in range(count)]
    with database.transaction() as transaction:
        inbox.new_ids(transaction, [identity(one["source"], one["id"]) for one in made])


def _written(database: Database) -> int:
    """Return the bytes of write-ahead log since the server was initialised."""
    found = database.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint AS bytes")
    return int(found[0].bytes)
