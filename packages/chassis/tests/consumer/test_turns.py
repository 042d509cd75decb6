"""A turn ends in time, whatever is left of it."""

import threading
from typing import Any

import pytest
from support.chassis import MemoryStream, eventually, running
from support.consuming import consumer, dead, event, send
from support.seen import seen

from oms_chassis.db import Database, Transaction
from oms_chassis.messaging import faults, processing, turn
from oms_chassis.messaging.faults import STREAK
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts.envelope import Event


def test_a_turn_that_takes_too_long_ends_and_commits_what_is_finished(
    database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "TURN", 0.5)
    monkeypatch.setattr(processing, "RETRIES", (0.1,))
    monkeypatch.setattr(faults, "PATIENT", STREAK)
    stream = MemoryStream()
    for number in range(STREAK):
        send(stream, [event("poison"), event(f"item-{number}")])
    commits: list[int] = []
    monkeypatch.setattr(stream, "commit", lambda offsets: commits.extend(offsets.values()))
    with running(consumer(database, stream, metrics)):
        eventually(lambda: commits and commits[-1] == 2 * STREAK, within=30)
    assert len(commits) > 1
    assert commits == sorted(commits)
    assert len(dead(database)) == STREAK
    assert seen(database) == {f"item-{number}": 1 for number in range(STREAK)}


def test_a_stop_does_not_wait_for_the_remaining_records(
    database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processing, "RETRIES", (30.0,))
    stream, tried = MemoryStream(), threading.Event()

    def fail(_: Transaction, __: list[Event[Any]]) -> None:
        tried.set()
        raise LookupError

    send(stream, [event("a")])
    with running(consumer(database, stream, metrics, fail)):
        assert tried.wait(10)
    assert dead(database) == []
    assert stream.committed == {}
