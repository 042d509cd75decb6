"""Each event is processed once, however often it is delivered, and by whichever replica."""

import pytest
from support.chassis import MemoryStream, eventually, running
from support.consuming import consumer, dead, event, see, send
from support.seen import seen
from support.statements import statements

from oms_chassis.db import Database
from oms_chassis.messaging import reading
from oms_chassis.messaging.consumer import Consumer
from oms_chassis.messaging.streams import Outgoing
from oms_chassis.messaging.subscription import Subscription
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts.events import PaymentRefunded
from oms_contracts.topics import ITEM_UPDATED, PAYMENT_REFUNDED


def outcomes(metrics: Metrics) -> dict[str, float]:
    samples = [one for family in metrics.registry.collect() for one in family.samples]
    counted = [one for one in samples if one.name == "oms_consumer_events_total" and one.value]
    return {one.labels["outcome"]: one.value for one in counted}


def test_every_event_is_processed_once_and_then_its_offset_is_committed(database: Database, metrics: Metrics) -> None:
    stream = MemoryStream()
    send(stream, [event(f"item-{number}") for number in range(50)])
    with running(consumer(database, stream, metrics)):
        eventually(lambda: stream.committed == {(ITEM_UPDATED.name, 0): 50})
    assert seen(database) == {f"item-{number}": 1 for number in range(50)}
    assert stream.is_closed


def test_an_event_that_is_delivered_again_changes_nothing(database: Database, metrics: Metrics) -> None:
    stream, twice = MemoryStream(), event("a")
    send(stream, [twice, twice, event("b")])
    with running(consumer(database, stream, metrics)):
        eventually(lambda: stream.committed)
        send(stream, [twice])
        eventually(lambda: stream.committed == {(ITEM_UPDATED.name, 0): 4})
    assert seen(database) == {"a": 1, "b": 1}


def test_records_of_a_full_poll_that_were_processed_before_cost_one_statement(
    database: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group that was set back reads old records again, and new events wait for as long as that takes."""
    monkeypatch.setattr(reading, "BATCH", 4)
    stream = MemoryStream()
    send(stream, [event("a"), event("poison")])
    stream.send([Outgoing(ITEM_UPDATED.name, None, b"no event"), Outgoing(ITEM_UPDATED.name, b"gone", None)])
    worker, records = consumer(database, stream, metrics), stream.poll(0)
    worker.work(records)
    with statements(database) as counted:
        worker.work(records)
    assert len(counted) == 1
    assert seen(database) == {"a": 1}
    assert len(dead(database)) == 2
    assert outcomes(metrics) == {"applied": 1, "dead": 2, "duplicate": 3, "tombstone": 2}


def test_a_small_poll_recognises_processed_records_by_the_statement_that_marks_new_ones(
    database: Database, metrics: Metrics
) -> None:
    stream = MemoryStream()
    send(stream, [event("a"), event("poison")])
    worker, records = consumer(database, stream, metrics), stream.poll(0)
    worker.work(records)
    with statements(database) as counted:
        worker.work(records)
    (asked,) = counted
    assert "INSERT INTO inbox" in asked.sql
    assert seen(database) == {"a": 1}
    assert outcomes(metrics) == {"applied": 1, "dead": 1, "duplicate": 2}


def test_each_record_of_a_small_poll_is_counted_however_often_it_is_delivered(
    database: Database, metrics: Metrics
) -> None:
    stream = MemoryStream()
    stream.send([Outgoing(ITEM_UPDATED.name, b"key", b"no event")])
    send(stream, [event("a"), event("poison")])
    worker, records = consumer(database, stream, metrics), stream.poll(0)
    worker.work(records)
    worker.work(records)
    assert outcomes(metrics) == {"applied": 1, "dead": 2, "duplicate": 3}


def test_two_publishers_may_give_the_same_id(database: Database, metrics: Metrics) -> None:
    stream, refunds = MemoryStream(), []
    refund = PaymentRefunded(order_id="o", refund_id="r", amount=1, currency="USD")
    send(stream, [event("a", id="1"), event("a", id="1")])
    other = PAYMENT_REFUNDED.event(refund, "o", id="1")
    stream.send([Outgoing(PAYMENT_REFUNDED.name, b"o", other.encode().encode())])
    both = [Subscription(ITEM_UPDATED, see), Subscription(PAYMENT_REFUNDED, lambda _, events: refunds.extend(events))]
    Consumer("test", database, both, lambda: stream, metrics).work(stream.poll(0))
    assert seen(database) == {"a": 1}
    assert [one.source for one in refunds] == ["/oms/payment"]
    assert dead(database) == []
