"""A service's subscriptions: the topics that it reads, and the functions that handle their events."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from oms_chassis.db import Transaction
from oms_contracts.envelope import Event
from oms_contracts.topics import Topic

Handle = Callable[[Transaction, list[Event[Any]]], None]
# Called with the events of a batch and the names of their records.
Deduplicate = Callable[[Transaction, Sequence[Event[Any]], Sequence[str]], list[Event[Any]]]


@dataclass(frozen=True)
class Subscription:
    """A topic, and the function that handles its events: in batches, in order per key, none twice."""

    topic: Topic
    handle: Handle
