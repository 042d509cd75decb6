"""Three brokers, as in production, one of which goes while events are published and applied."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from itertools import count
from uuid import uuid4

import pytest
from support.broker import TOPIC, event
from support.brokers import Broker, three_brokers
from support.chassis import eventually, running

from oms_chassis.db import Database
from oms_chassis.messaging import outbox
from oms_chassis.messaging.consumer import Consumer
from oms_chassis.messaging.kafka import KafkaSink, KafkaSource, reconcile_topics
from oms_chassis.messaging.relay import Relay
from oms_chassis.messaging.streams import Outgoing
from oms_chassis.messaging.subscription import Subscription
from oms_chassis.settings import Settings, TopicSettings
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts.topics import ITEM_UPDATED
from oms_servers.testing import memory_folder

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]
KEYS = 10


@pytest.fixture(scope="module")
def brokers() -> Iterator[list[Broker]]:
    with memory_folder() as folder, three_brokers(folder) as brokers:
        yield brokers


class Flow:
    """Numbers that are published, each after the one before it, and those that were applied."""

    name = "flow"

    def __init__(self, database: Database) -> None:
        self._database, self._stopping = database, threading.Event()
        self.published, self.applied = 0, list[int]()

    def run(self) -> None:
        for number in count():
            if self._stopping.wait(0.02):
                return
            value = event(str(number)).encode().encode()
            with self._database.transaction() as transaction:
                outbox.emit_records(transaction, [Outgoing(TOPIC, str(number % KEYS).encode(), value)])
            self.published = number + 1

    def stop(self) -> None:
        self._stopping.set()

    def goes_on(self) -> None:
        """Wait until what is published from now on is applied, or was."""
        until = self.published
        eventually(lambda: self.published > until and set(range(until)) <= set(self.applied), within=90)

    def is_in_order(self) -> bool:
        """Whether each number was applied once, and after those of its key that came before."""
        keys = [[number for number in self.applied if number % KEYS == key] for key in range(KEYS)]
        return all(numbers == list(range(key, key + KEYS * len(numbers), KEYS)) for key, numbers in enumerate(keys))


Flowing = Callable[[int], AbstractContextManager[Flow]]


@pytest.fixture
def flow(brokers: list[Broker], database: Database, metrics: Metrics) -> Flowing:
    """A flow through a topic of three copies, of which so many have to be in sync, while a block runs."""

    @contextmanager
    def flow(needed: int) -> Iterator[Flow]:
        settings = Settings(
            database_url="postgresql://nobody@127.0.0.1:1/none",
            kafka_bootstrap=",".join(one.bootstrap for one in brokers),
            kafka_prefix=f"{uuid4().hex}-",
            kafka_replication=len(brokers),
            kafka_min_in_sync=needed,
            kafka_topics={TOPIC: TopicSettings(partitions=3, config={})},
        )
        reconcile_topics(settings)
        flow, source = Flow(database), partial(KafkaSource, settings, "group", [TOPIC])
        read = Subscription(ITEM_UPDATED, lambda _, batch: flow.applied.extend(int(one.subject) for one in batch))
        with ExitStack() as loops:
            for _ in range(2):
                loops.enter_context(running(Consumer("test", database, [read], source, metrics)))
            loops.enter_context(running(Relay(database, KafkaSink(settings), metrics)))
            loops.enter_context(running(flow))
            flow.goes_on()
            yield flow
            flow.goes_on()

    return flow


def test_brokers_that_restart_in_turn_cost_no_event_and_no_key_its_order(brokers: list[Broker], flow: Flowing) -> None:
    with flow(2) as events:
        for one in brokers:
            one.restart()
            events.goes_on()
    assert events.is_in_order()


def test_what_too_few_brokers_would_keep_waits_until_there_are_enough_and_the_reason_is_said(
    brokers: list[Broker], flow: Flowing, logged: Callable[[], list[str]]
) -> None:
    with flow(3) as events:
        brokers[-1].kill()
        try:
            eventually(lambda: any("NotEnoughReplicasError" in line for line in logged()), within=90)
        finally:
            brokers[-1].start()
            brokers[-1].await_ready()
    assert events.is_in_order()
