"""The partition of each key is the one that kafka-python and Java's client choose."""

import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.partitioner.default import DefaultPartitioner
from kafka.partitioner.default import murmur2 as theirs

from oms_chassis.messaging.kafka.partitioning import KeyPartitioner, murmur2


class Cluster:
    """The metadata of one topic that a partitioner needs."""

    def __init__(self, partitions: int) -> None:
        self._partitions = set(range(partitions))

    def topics(self) -> set[str]:
        return {"topic"}

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return set(self._partitions) if topic == "topic" else None

    def available_partitions_for_topic(self, topic: str) -> set[int] | None:
        return self.partitions_for_topic(topic)


def where(partitioner: Any, key: bytes | None, cluster: Cluster, topic: str = "topic") -> int:
    return int(partitioner.partition(topic, key, key, b"", b"", cluster))


@given(st.binary(max_size=300))
def test_hashes_are_those_of_kafkas_own_clients(data: bytes) -> None:
    assert murmur2(data) == theirs(data)


@given(st.integers(1, 50), st.one_of(st.binary(max_size=80), st.uuids().map(lambda one: str(one).encode())))
def test_a_key_is_in_the_partition_of_the_default_partitioner(partitions: int, key: bytes) -> None:
    cluster = Cluster(partitions)
    assert where(KeyPartitioner(), key, cluster) == where(DefaultPartitioner(), key, cluster)


def test_javas_client_hashes_in_the_same_way() -> None:
    # org.apache.kafka.common.utils.UtilsTest.testMurmur2, as signed integers
    known = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536, b"abc": 479470107}
    assert {data: murmur2(data) for data in known} == {data: value & 0xFFFFFFFF for data, value in known.items()}


def test_a_record_without_a_key_goes_to_any_partition() -> None:
    cluster = Cluster(3)
    assert {where(KeyPartitioner(), None, cluster) for _ in range(200)} == {0, 1, 2}


def test_an_unknown_topic_is_refused() -> None:
    with pytest.raises(ValueError, match="not found"):
        where(KeyPartitioner(), str(uuid.uuid4()).encode(), Cluster(3), "another")
