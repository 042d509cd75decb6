"""Records that the database cannot process, and rows that are locked."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from support.chassis import MemoryStream, eventually, running
from support.consuming import consumer, dead, event, items, see, send
from support.seen import seen

from oms_chassis.db import Database, Transaction
from oms_chassis.messaging import faults, inbox, turn
from oms_chassis.sessions import Limits
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts.envelope import Event
from oms_contracts.topics import ITEM_UPDATED


@pytest.fixture
def strict(database: Database) -> Iterator[Database]:
    """The database with a short limit for statements."""
    strict = Database(database._url, 4, Limits(statement=1.0))
    yield strict
    strict.dispose()


TOO_MUCH = {
    "more time than statements have": "SELECT pg_sleep(30)",
    "more memory than there is": "SELECT repeat('x', 1000000000) || repeat('x', 1000000000)",
    "a row of an index": "INSERT INTO inbox SELECT string_agg(md5(n::text), '') FROM generate_series(1, 999) AS n",
    "a number": "SELECT 9223372036854775807 + 1",
    "a character that no text has": "SELECT chr(0)",
    "a failure within": "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'XX000'; END $$",
    "a page that cannot be read": "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'XX001'; END $$",
    "a sector that cannot be read": "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '58030'; END $$",
}


@pytest.mark.parametrize("sql", TOO_MUCH.values(), ids=TOO_MUCH)
def test_a_record_that_the_database_cannot_process_becomes_a_dead_letter_and_its_neighbours_are_applied(
    strict: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    monkeypatch.setattr(faults, "STRAIN_SECONDS", 0.0)
    monkeypatch.setattr(turn, "TURN", 3.0)

    def handle(transaction: Transaction, events: list[Event[Any]]) -> None:
        if any(event.subject == "too-much" for event in events):
            transaction.execute(sql)
        see(transaction, events)

    stream = MemoryStream()
    send(stream, [*items(20), event("too-much"), event("item-20")])
    with running(consumer(strict, stream, metrics, handle)):
        eventually(lambda: stream.committed == {(ITEM_UPDATED.name, 0): 22}, within=120)
    assert seen(strict) == {f"item-{number}": 1 for number in range(21)}
    assert [bytes(letter.key) for letter in dead(strict)] == [b"too-much"]


@pytest.mark.parametrize("bad", [2, 4])
def test_of_several_such_records_each_becomes_a_dead_letter(
    strict: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch, bad: int
) -> None:
    monkeypatch.setattr(faults, "STRAIN_SECONDS", 0.0)

    def handle(transaction: Transaction, events: list[Event[Any]]) -> None:
        if any(event.subject.startswith("too-much") for event in events):
            transaction.execute("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '57014'; END $$")
        see(transaction, events)

    stream = MemoryStream()
    send(stream, [event("a"), *(event(f"too-much-{number}") for number in range(bad)), event("b")])
    with running(consumer(strict, stream, metrics, handle)):
        eventually(lambda: stream.committed == {(ITEM_UPDATED.name, 0): bad + 2}, within=60)
    assert seen(strict) == {"a": 1, "b": 1}
    assert len(dead(strict)) == bad


def test_while_the_database_is_unwell_there_are_no_dead_letters(
    strict: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "STRAIN_SECONDS", 0.0)
    monkeypatch.setattr(inbox, "QUICK", 0.0)  # whatever is asked of it takes too long
    unwell, tries = threading.Event(), []
    unwell.set()

    def handle(transaction: Transaction, events: list[Event[Any]]) -> None:
        if unwell.is_set():
            tries.append(len(events))
            transaction.execute("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '57014'; END $$")
        see(transaction, events)

    stream = MemoryStream()
    send(stream, items(3))
    with running(consumer(strict, stream, metrics, handle)):
        eventually(lambda: tries.count(1) > faults.STRAINS + 2)
        assert (stream.committed, dead(strict)) == ({}, [])
        unwell.clear()
        eventually(lambda: stream.committed == {(ITEM_UPDATED.name, 0): 3})
    assert seen(strict) == {f"item-{number}": 1 for number in range(3)}
    assert dead(strict) == []


def test_a_locked_row_keeps_only_its_own_event_waiting(database: Database, metrics: Metrics) -> None:
    others = [f"item-{number}" for number in range(7)]
    database.execute("INSERT INTO seen (item) VALUES ('held')")
    hasty, stream = Database(database._url, 4, Limits(lock=0.2)), MemoryStream()
    send(stream, [event("item-0"), event("held"), *(event(one) for one in others[1:])])
    with running(consumer(hasty, stream, metrics)):
        with database.transaction() as transaction:
            transaction.execute("SELECT 1 FROM seen WHERE item = 'held' FOR UPDATE")
            eventually(lambda: seen(hasty) == {**dict.fromkeys(others, 1), "held": 1})
            assert stream.committed in ({}, {(ITEM_UPDATED.name, 0): 1})
        eventually(lambda: stream.committed == {(ITEM_UPDATED.name, 0): 8})
    assert seen(hasty) == {**dict.fromkeys(others, 1), "held": 2}
    assert dead(hasty) == []
    hasty.dispose()
