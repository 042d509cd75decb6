"""Checks at the right moment: a system that is still working violates rules that it will fulfil in the end."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import httpx2
from kafka.errors import KafkaError

from invariants.evidence import Answer, Violation
from invariants.reading import Expected, Sources, count, read
from invariants.records import count_unread
from invariants.rules import KINDS, violations

BUSY, AGAIN = 0.1, 0.3  # seconds between checks: while work is left, and while only messages may be on their way

_WORK_LEFT = "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM job WHERE dead_at IS NULL)"
_REFUNDS_LEFT = "SELECT count(*) FROM refund WHERE status = 'PENDING'"
_MESSAGES_DUE = """
SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM refund WHERE status = 'SUCCEEDED')
"""
_ORDERS_LEFT = "SELECT count(*) FROM orders WHERE status NOT IN ('CONFIRMED', 'CANCELLED')"


NOTHING = Expected()


def check(
    sources: Sources,
    answers: Sequence[Answer] = (),
    dead_letters: Mapping[str, int] | None = None,
    expected: Expected = NOTHING,
) -> list[Violation]:
    """Return what is wrong at this moment. `answers` and `dead_letters` are short for those of `expected`.

    Raises psycopg.OperationalError or httpx2.HTTPError if something cannot be read.
    """
    return violations(read(sources, _completed(expected, answers, dead_letters)))


def check_when_quiet(
    sources: Sources,
    answers: Sequence[Answer] = (),
    dead_letters: Mapping[str, int] | None = None,
    within: float = 60.0,
    expected: Expected = NOTHING,
) -> list[Violation]:
    """Wait until nothing is wrong, for at most `within` seconds, and return what is still wrong.

    Once nothing is wrong, it is checked again after each service has read all its records, because a duplicate that has
    not been read yet may still do harm.
    """
    deadline = time.monotonic() + within
    while work_left(sources) and time.monotonic() < deadline:
        time.sleep(BUSY)

    def look() -> list[Violation]:
        return check(sources, answers, dead_letters, expected)

    while (found := look() or _unread(sources) or look()) and time.monotonic() < deadline:
        time.sleep(AGAIN)
    return found


def _unread(sources: Sources) -> list[Violation]:
    try:
        unread = count_unread(sources.kafka) if sources.kafka is not None else {}
    except KafkaError as error:  # a broker that has just started does not answer for groups yet
        return [Violation("events-are-read", "kafka", f"nobody knows whether they are: {error!r}")]
    return [Violation("events-are-read", name, f"{left} are not") for name, left in unread.items() if left]


def _completed(expected: Expected, answers: Sequence[Answer], dead_letters: Mapping[str, int] | None) -> Expected:
    return replace(
        expected, answers=[*expected.answers, *answers], dead_letters={**expected.dead_letters, **(dead_letters or {})}
    )


def work_left(sources: Sources) -> int:
    """Count the orders, refunds, events, calls and messages that are under way. This is cheap enough to poll."""
    waiting = sum(count(url, _WORK_LEFT) for url in sources.databases.values())
    waiting += count(sources.databases["order"], _REFUNDS_LEFT)
    return waiting + count(sources.databases["order"], _ORDERS_LEFT) + _messages_left(sources)


def _messages_left(sources: Sources) -> int:
    if sources.mailcatcher is None:
        return 0
    sent = httpx2.get(f"{sources.mailcatcher}/messages/count", timeout=30.0).raise_for_status().json()
    due = count(sources.databases["order"], _MESSAGES_DUE)
    return sum(max(0, due - int(sent[kind])) for kind in KINDS)
