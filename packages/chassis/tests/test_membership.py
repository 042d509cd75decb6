"""Members of a group on a real broker: how partitions are shared when members join, leave, or run another release."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from kafka import KafkaConsumer
from kafka.admin import NewTopic
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from support.broker import administering
from support.chassis import eventually

from oms_chassis.messaging.kafka import KafkaSink, KafkaSource
from oms_chassis.messaging.streams import Identity, Outgoing, Record, next_offsets
from oms_chassis.settings import Settings

PARTITIONS = 6
ASSIGNORS = {one.name: one for one in (CooperativeStickyAssignor, RangePartitionAssignor)}
pytestmark = pytest.mark.timeout(180)


class Member:
    """A member that reads in a thread of its own, like a service, until it leaves."""

    def __init__(self, source: Any) -> None:
        self.source, self.read = source, list[Record]()
        self.times = list[float]()
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def leave(self) -> None:
        self._leaving.set()
        self._thread.join(30)

    @property
    def partitions(self) -> set[int]:
        return {where.partition for where in self.source._consumer.assignment()}

    @property
    def is_cooperative(self) -> bool:
        return bool(self.source._membership.is_cooperative)

    def _run(self) -> None:
        while not self._leaving.is_set():
            self._poll()
        self.source.close()

    def _poll(self) -> None:
        if found := self.source.poll(0.5):
            self.source.commit(next_offsets(found))
            self.read += found
            self.times.append(time.monotonic())


class OlderMember(Member):
    """A member of a release with kafka-python's defaults: range assignment, and eager rebalances."""

    @property
    def partitions(self) -> set[int]:
        return {where.partition for where in self.source.assignment()}

    def _poll(self) -> None:
        self.source.poll(timeout_ms=500)


@pytest.fixture
def settings(kafka: str) -> Settings:
    return Settings(database_url="postgresql://nobody@127.0.0.1:1/none", kafka_bootstrap=kafka)


@pytest.fixture
def topic(settings: Settings) -> Iterator[str]:
    """A topic of this test's own."""
    name = f"shared-{uuid4().hex}"
    with administering(settings.kafka_bootstrap) as admin:
        admin.create_topics([NewTopic(name, num_partitions=PARTITIONS, replication_factor=1)])
        yield name
        admin.delete_topics([name])


class Group:
    """A group of this test's own."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self._settings, self._topic, self.name = settings, topic, uuid4().hex
        self.members: list[Member] = []

    def join(self, settings: Settings | None = None, identity: Identity | None = None) -> Member:
        source = KafkaSource(settings or self._settings, self.name, [self._topic], identity)
        self.members.append(Member(source))
        return self.members[-1]

    def join_as_older_release(self) -> Member:
        where = self._settings.kafka_bootstrap
        consumer = KafkaConsumer(
            self._topic,
            bootstrap_servers=where,
            client_id="oms",
            group_id=self.name,
            enable_auto_commit=False,
            session_timeout_ms=10_000,
        )
        self.members.append(OlderMember(consumer))
        return self.members[-1]


@pytest.fixture
def group(settings: Settings, topic: str) -> Iterator[Group]:
    group = Group(settings, topic)
    yield group
    for member in group.members:
        member.leave()


def share(*members: Member) -> None:
    """Wait until one of these owns each partition, as evenly distributed as possible."""
    fewest = PARTITIONS // len(members)

    def is_shared() -> bool:
        owned = [member.partitions for member in members]
        numbers = sorted(one for few in owned for one in few)
        return numbers == list(range(PARTITIONS)) and min(map(len, owned)) >= fewest

    eventually(is_shared, within=60)


def send(settings: Settings, topic: str, count: int) -> None:
    sink = KafkaSink(settings)
    sink.send([Outgoing(topic, str(number).encode(), b"x") for number in range(count)])
    sink.close()


def test_a_new_member_takes_only_its_share_and_the_others_keep_the_rest(group: Group) -> None:
    first = group.join()
    share(first)
    second = group.join()
    share(first, second)
    kept = first.partitions
    assert len(kept) == 3
    second.leave()
    share(first)
    assert first.is_cooperative
    third = group.join()
    share(first, third)


def test_a_member_keeps_its_partitions_while_another_is_replaced(group: Group) -> None:
    """As in a rollout: the new member joins before the old one leaves."""
    stays, goes = group.join(), group.join()
    share(stays, goes)
    comes = group.join()
    share(stays, goes, comes)
    kept = stays.partitions
    goes.leave()
    share(stays, comes)
    assert kept < stays.partitions


def test_members_read_on_while_others_come_and_go(settings: Settings, topic: str, group: Group) -> None:
    stays = group.join()
    share(stays)
    sending, stop = threading.Event(), threading.Event()
    sink = KafkaSink(settings)

    def trickle() -> None:
        while not stop.is_set():
            sink.send([Outgoing(topic, str(number).encode(), b"x") for number in range(60)])
            sending.set()

    sender = threading.Thread(target=trickle)
    sender.start()
    try:
        assert sending.wait(30)
        other = group.join()
        share(stays, other)
        other.leave()
        share(stays)
    finally:
        stop.set()
        sender.join(30)
        sink.close()
    silences = [after - before for before, after in itertools.pairwise(stays.times)]
    assert max(silences) < 5.0


def test_members_of_an_older_release_share_with_new_ones_until_the_last_has_left(group: Group) -> None:
    old = group.join_as_older_release()
    share(old)
    new, another = group.join(), group.join()
    share(old, new, another)
    assert {new.is_cooperative, another.is_cooperative} == {False}
    old.leave()
    share(new, another)
    eventually(lambda: new.is_cooperative and another.is_cooperative)
    share(new, another)


def test_a_rollback_brings_older_members_back_into_the_group(group: Group) -> None:
    new, another = group.join(), group.join()
    share(new, another)
    assert new.is_cooperative
    old = group.join_as_older_release()
    share(new, another, old)
    assert not new.is_cooperative
    new.leave()
    another.leave()
    share(old)


def test_a_member_without_a_partition_is_accepted_and_takes_over(group: Group) -> None:
    members = [group.join() for _ in range(PARTITIONS + 1)]
    eventually(lambda: sorted(len(member.partitions) for member in members) == [0, *[1] * PARTITIONS], within=60)
    (spare,) = [member for member in members if not member.partitions]
    eventually(spare.source.is_assigned)
    assert not spare.source._membership.is_lost()
    gone = next(member for member in members if member.partitions)
    gone.leave()
    share(*(member for member in members if member is not gone))


def test_a_removed_member_claims_nothing(settings: Settings, topic: str) -> None:
    """Otherwise, partitions that it claims but no longer has would be assigned to nobody."""
    source = KafkaSource(settings, uuid4().hex, [topic])
    eventually(lambda: (source.poll(0.2), source._consumer.assignment())[1])
    coordinator = source._consumer._coordinator
    assignor = coordinator._assignors["cooperative-sticky"]
    assert len(list(assignor.owned())) == PARTITIONS
    coordinator.reset_generation()  # as when the group has given it up
    assert assignor.metadata([topic]).owned_partitions == []
    source.close()


@pytest.mark.parametrize("others", [0, 1])
def test_a_member_that_lost_its_connection_returns_as_the_same_member(
    settings: Settings, topic: str, group: Group, others: int
) -> None:
    """It could not leave the group, which waits until its session ends or it returns."""
    patient = settings.model_copy(update={"kafka_session_seconds": 60.0})
    identity, rest = Identity(), [group.join() for _ in range(others)]
    lost = group.join(patient, identity)
    share(lost, *rest)
    known = identity.member_id
    lost.source._consumer._coordinator.is_dynamic_member = lambda: False  # so that it does not say that it leaves
    lost.leave()
    began = time.monotonic()
    share(group.join(patient, identity), *rest)
    assert identity.member_id == known
    assert time.monotonic() - began < 20.0


def test_a_member_that_its_group_has_forgotten_becomes_a_new_one(settings: Settings, topic: str, group: Group) -> None:
    forgotten = Identity("oms-00000000-0000-0000-0000-000000000000")
    share(group.join(settings, forgotten))
    assert forgotten.member_id != "oms-00000000-0000-0000-0000-000000000000"


def test_a_rebalance_of_rarely_polled_members_ends(settings: Settings, topic: str) -> None:
    """The answers to their join requests arrive between two polls."""
    name = uuid4().hex
    sources = [KafkaSource(settings, name, [topic]) for _ in range(3)]

    def are_shared() -> bool:
        for source in sources:
            source.poll(0.05)
        return [len(source._consumer.assignment()) for source in sources] == [2, 2, 2]

    eventually(are_shared, within=60)
    for source in sources:
        source.close()


@pytest.mark.parametrize("shares_as", ["cooperative-sticky", "range"])
def test_a_foreign_application_in_the_group_gets_nothing_of_our_topics_and_is_named(
    settings: Settings, topic: str, group: Group, logged: Callable[[], list[str]], shares_as: str
) -> None:
    """A console consumer, or another team's service with the same name: nobody would apply the records that it
    reads."""
    ours = group.join()
    share(ours)
    foreign = KafkaConsumer(
        topic, bootstrap_servers=settings.kafka_bootstrap, group_id=group.name, client_id="console",
        partition_assignment_strategy=[ASSIGNORS[shares_as]], enable_auto_commit=False,
    )  # fmt: skip
    foreign.poll(10_000)
    eventually(lambda: any("foreign_member" in line for line in logged()), within=60)
    send(settings, topic, 30)
    eventually(lambda: len(ours.read) == 30 or foreign.poll(100), within=60)
    assert not foreign.assignment()
    foreign.close()
    share(ours)
    assert len(ours.read) == 30
    assert "console-" in next(line for line in logged() if "foreign_member" in line)
