"""The dead letters of a service in its own database, where operators list, redrive and drop them.

A letter is stored in the transaction that publishes it, with the bytes that are published. When it is redriven or
dropped, only its state changes; it is deleted once it is too old to be of use.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from oms_chassis.db import Database, Transaction
from oms_chassis.messaging.outbox import encoded, encoded_headers
from oms_chassis.messaging.streams import Outgoing, Record
from oms_chassis.retention import Retention
from oms_chassis.statements import Row, Rows

DEAD, REDRIVEN, DROPPED = "dead", "redriven", "dropped"
SUBJECT = 100  # characters: a longer key is not an id
_KEEP = """
INSERT INTO dead_letter (topic, partition, record_offset, key, value, headers, error, subject)
SELECT topic, partition, record_offset, decode(key, 'base64'), decode(value, 'base64'), headers, error, subject
FROM json_to_recordset(%(rows)s::json) AS r(topic text, partition int, record_offset bigint, key text, value text,
    headers jsonb, error text, subject text)
"""
_SUMMARY = """
    id, topic, partition, record_offset, error, subject, dead_at, state, settled_at,
    coalesce(octet_length(key), 0) + coalesce(octet_length(value), 0) AS bytes
"""
_PAGE = f"""
SELECT {_SUMMARY} FROM dead_letter
WHERE id > %(after)s AND (%(state)s::text IS NULL OR state = %(state)s)
    AND (%(topic)s::text IS NULL OR topic = %(topic)s) AND (%(subject)s::text IS NULL OR subject = %(subject)s)
    AND (%(error)s::text IS NULL OR error = %(error)s)
ORDER BY id LIMIT %(limit)s
"""
_ABOUT = f"SELECT {_SUMMARY} FROM dead_letter WHERE state = 'dead' AND subject = ANY(%(subjects)s) ORDER BY id"
_COUNT = "SELECT count(*) AS letters FROM (SELECT 1 FROM dead_letter WHERE state = 'dead' LIMIT %(most)s) AS found"
_ONE = f"SELECT {_SUMMARY}, key, value, headers FROM dead_letter WHERE id = %(id)s"
# Earlier dead letters of the same key and topic: letters of one key are redriven in order, or not at all.
_EARLIER = """
SELECT min(id) AS id FROM dead_letter
WHERE state = 'dead' AND id < %(id)s AND topic = %(topic)s AND key IS NOT DISTINCT FROM %(key)s
"""
_SETTLE = "UPDATE dead_letter SET state = %(state)s, settled_at = now() WHERE id = %(id)s"


@dataclass(frozen=True)
class Filters:
    """The letters that are asked for; None means any."""

    state: str | None = None
    topic: str | None = None
    subject: str | None = None
    error: str | None = None


def keep(transaction: Transaction, written: Iterable[tuple[Record, Outgoing, str]]) -> None:
    """Store letters, each with its record and the class of the error."""
    rows = [
        {
            "topic": record.topic,
            "partition": record.partition,
            "record_offset": record.offset,
            "key": encoded(letter.key),
            "value": encoded(letter.value),
            "headers": encoded_headers(letter.headers),
            "error": error,
            "subject": _subject(letter.key),
        }
        for record, letter, error in written
    ]
    transaction.execute_rows(_KEEP, rows)


def _subject(key: bytes | None) -> str | None:
    """Return what a record is about: its key, if that can be an id."""
    text = (key or b"").decode("ascii", "replace")
    return text if 0 < len(text) <= SUBJECT and text.isascii() and text.isprintable() else None


def page(database: Database, filters: Filters, after: int, limit: int) -> Rows:
    """Return letters without their content, ordered by id, beginning after this one."""
    return database.execute(_PAGE, after=after, limit=limit, **asdict(filters))


def about(database: Database, subjects: Sequence[str]) -> Rows:
    """Return the letters about these subjects that are still dead."""
    return database.execute(_ABOUT, subjects=list(subjects))


def count(database: Database, most: int) -> int:
    """Return how many letters are still dead, counted up to `most`."""
    return int(database.execute(_COUNT, most=most)[0].letters)


def look(transaction: Transaction, letter_id: int) -> Row | None:
    """Return a letter with its content, without locking it."""
    rows = transaction.execute(_ONE, id=letter_id)
    return rows[0] if rows else None


def find(transaction: Transaction, letter_id: int) -> Row | None:
    """Return a letter with its content, and lock it until this transaction ends."""
    rows = transaction.execute(f"{_ONE} FOR UPDATE", id=letter_id)
    return rows[0] if rows else None


def earlier(transaction: Transaction, letter: Row) -> int | None:
    """Return the id of the first dead letter of the same topic and key that must be settled before this one, or
    None."""
    found: int | None = transaction.execute(_EARLIER, id=letter.id, topic=letter.topic, key=letter.key)[0].id
    return found


def settle(transaction: Transaction, letter_id: int, state: str) -> None:
    """Set the state of a letter that was redriven or dropped."""
    transaction.execute(_SETTLE, id=letter_id, state=state)


def retention(days: float) -> Retention:
    """Return the rule by which letters are deleted so many days after they were written."""
    return Retention("dead_letter", "dead_at", days * 86400)
