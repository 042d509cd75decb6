"""A system is at rest only once all records are read: one that is still unread may violate a rule that holds now."""

import contextlib
from typing import Any
from uuid import uuid4

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata
from support.chassis import eventually

from invariants import Sources, Violation, check_when_quiet, quiet
from invariants.records import count_unread
from oms_chassis.messaging import kafka as broker
from oms_chassis.settings import Settings
from oms_contracts.topics import PAYMENT_COMPLETED, SERVICES

SOURCES = Sources({}, None, "a-broker")
WRONG = Violation("stock-adds-up", "Item1", "has 1, and should have 2")
UNREAD = {"inventory": 3}


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what was checked, in order, while nothing is wrong."""
    seen: list[str] = []
    monkeypatch.setattr(quiet, "work_left", lambda _: 0)
    monkeypatch.setattr(quiet, "AGAIN", 0.0)

    def check(*_: Any) -> list[Violation]:
        seen.append("rules")
        return []

    def count(_: str) -> dict[str, int]:
        seen.append("topics")
        return {}

    monkeypatch.setattr(quiet, "check", check)
    monkeypatch.setattr(quiet, "count_unread", count)
    return seen


def then(monkeypatch: pytest.MonkeyPatch, name: str, *answers: Any) -> None:
    """Replace a function by one that gives these answers in order, and then repeats the last one."""
    left = list(answers)
    monkeypatch.setattr(quiet, name, lambda *_: left.pop(0) if len(left) > 1 else left[0])


def test_rules_are_checked_again_once_everything_is_read(looked: list[str]) -> None:
    assert check_when_quiet(SOURCES) == []
    assert looked == ["rules", "topics", "rules"]


def test_a_violation_by_an_event_that_was_read_late_is_seen(looked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    then(monkeypatch, "check", [], [WRONG])
    assert check_when_quiet(SOURCES, within=0.1) == [WRONG]


def test_unread_records_are_waited_for(looked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    then(monkeypatch, "count_unread", UNREAD, UNREAD, {})
    assert check_when_quiet(SOURCES) == []
    assert len(looked) == 4


def test_records_that_are_never_read_are_a_violation(looked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    then(monkeypatch, "count_unread", UNREAD)
    assert [str(one) for one in check_when_quiet(SOURCES, within=0.1)] == ["events-are-read: inventory: 3 are not"]


def counted(kafka: str) -> dict[str, int]:
    """Count the unread records; an empty result while the broker is not ready for groups."""
    with contextlib.suppress(KafkaError):
        return count_unread(kafka)
    return {}


def test_an_event_is_unread_until_its_offset_is_committed(kafka: str) -> None:
    broker.reconcile_topics(Settings(database_url="postgresql://unused", kafka_bootstrap=kafka))
    before, producer = eventually(lambda: counted(kafka)), KafkaProducer(bootstrap_servers=kafka)
    sent = producer.send(PAYMENT_COMPLETED.name, uuid4().bytes, key=b"key").get(10)
    producer.close()
    readers = PAYMENT_COMPLETED.read_by
    assert count_unread(kafka) == {name: before[name] + (name in readers) for name in SERVICES}
    consumer = KafkaConsumer(bootstrap_servers=kafka, group_id="inventory", enable_auto_commit=False)
    where = TopicPartition(sent.topic, sent.partition)
    consumer.assign([where])
    consumer.commit({where: OffsetAndMetadata(sent.offset + 1, "", -1)})
    consumer.close()
    assert count_unread(kafka)["inventory"] <= before["inventory"]
