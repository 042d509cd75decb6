"""A consumer of a broker in memory, and the outcome of its events in the chassis's test database."""

from collections.abc import Sequence
from typing import Any

from oms_chassis.db import Database, Transaction
from oms_chassis.messaging.consumer import Consumer
from oms_chassis.messaging.streams import Outgoing
from oms_chassis.messaging.subscription import Subscription
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts.envelope import Event
from oms_contracts.events import ItemUpdated
from oms_contracts.topics import ITEM_UPDATED, Topic
from support.chassis import MemoryStream
from support.seen import note


def see(transaction: Transaction, events: list[Event[Any]]) -> None:
    """Handle events: record each as seen, unless there is poison among them."""
    if any(event.subject == "poison" for event in events):
        raise LookupError("poison")
    note(transaction, (event.subject for event in events))


def event(item: str, topic: Topic = ITEM_UPDATED, **more: Any) -> Event[Any]:
    """An event about an item."""
    data = ItemUpdated(item_id=item, name="A thing", unit_price=100, currency="USD", available=True, version=1)
    return topic.event(data, item, **more)


def send(stream: MemoryStream, events: Sequence[Event[Any]]) -> None:
    """Send these events to the topic of items."""
    stream.send([Outgoing(ITEM_UPDATED.name, one.subject.encode(), one.encode().encode()) for one in events])


def consumer(database: Database, stream: MemoryStream, metrics: Metrics, handle: Any = see) -> Consumer:
    """A consumer of items."""
    return Consumer("test", database, [Subscription(ITEM_UPDATED, handle)], lambda: stream, metrics)


def dead(database: Database) -> list[Any]:
    """Return the dead letters that wait to be sent."""
    return list(database.execute("SELECT topic, key, value, headers FROM outbox ORDER BY id"))


def values(metrics: Metrics, *names: str) -> list[float | None]:
    """Return the values of these metrics."""
    return [metrics.registry.get_sample_value(name) for name in names]


def items(count: int) -> list[Event[Any]]:
    """Return events about `count` items."""
    return [event(f"item-{number}") for number in range(count)]
