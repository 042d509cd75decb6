"""Connections on which brokers do not answer are given up, and slow ones are not."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from support.chassis import eventually
from support.network import Proxy, proxy

from oms_chassis.messaging.kafka import KafkaSink, KafkaSource, reconcile_topics
from oms_chassis.messaging.kafka import sink as module
from oms_chassis.messaging.kafka.answers import ANSWER
from oms_chassis.messaging.streams import RECORD_LIMIT, Outgoing, Record, StreamUnavailable
from oms_chassis.settings import Settings
from oms_contracts.topics import ITEM_UPDATED
from oms_servers.kafka import KafkaServer
from oms_servers.ports import free_port

TOPIC = ITEM_UPDATED.name
NOTICED = 8.0  # seconds until what was said into the void has been said again: less than a group waits for a member


@pytest.fixture(scope="module")
def network(servers_folder: Path) -> Iterator[Proxy]:
    """A proxy in front of a broker of its own."""
    folder, listener = servers_folder / "behind-a-proxy", free_port()
    with (
        proxy(f"tcp://127.0.0.1:{listener}") as network,
        KafkaServer(folder, free_port(), behind=(listener, network.port)) as server,
    ):
        server.await_ready()
        yield network


@pytest.fixture
def settings(network: Proxy) -> Settings:
    network.heal()
    made = Settings(database_url="postgresql://nobody@127.0.0.1:1/none", kafka_bootstrap=f"127.0.0.1:{network.port}")
    reconcile_topics(made)
    return made


@pytest.fixture
def sink(settings: Settings) -> Iterator[KafkaSink]:
    sink = KafkaSink(settings)
    sink.send([Outgoing(TOPIC, b"first", b"{}")])
    yield sink
    sink.close()


@pytest.fixture
def reader(settings: Settings, sink: KafkaSink) -> Iterator[KafkaSource]:
    """A member of a group of its own that has read all records."""
    reader = KafkaSource(settings, uuid4().hex, [TOPIC])
    eventually(lambda: (reader.poll(0.2), has_read_all(reader))[1])
    yield reader
    reader.close()


def has_read_all(reader: KafkaSource) -> bool:
    lags = reader.lag()
    return 0 < len(lags) == len(reader._consumer.assignment()) and not any(lags.values())


def read(reader: KafkaSource, key: bytes) -> Record:
    found: list[Record] = []

    def is_there() -> bool:
        found.extend(one for one in reader.poll(0.2) if one.key == key)
        return bool(found)

    eventually(is_there)
    return found[-1]


def send(settings: Settings, key: bytes, value: bytes = b"{}") -> None:
    """Send a record on separate connections."""
    sink = KafkaSink(settings)
    sink.send([Outgoing(TOPIC, key, value)])
    sink.close()


def member(reader: KafkaSource) -> tuple[str, int]:
    generation = reader._consumer._coordinator._generation
    return generation.member_id, generation.generation_id


def test_a_reader_whose_connections_are_dead_continues_on_new_ones_as_the_same_member(
    network: Proxy, settings: Settings, reader: KafkaSource
) -> None:
    before = member(reader)
    network.blackhole()
    lost = time.monotonic()
    send(settings, b"meanwhile")
    read(reader, b"meanwhile")
    assert time.monotonic() - lost < NOTICED
    eventually(lambda: (reader.poll(0.2), reader.silence() < 1.0)[1])
    assert member(reader) == before


def test_a_reader_recovers_soon_even_if_new_connections_were_dead_for_a_while(
    network: Proxy, settings: Settings, reader: KafkaSource
) -> None:
    network.blackhole(new=True)
    lost = time.monotonic()
    eventually(lambda: (reader.poll(0.2), reader.silence() > 7.0)[1])
    network.heal()
    healed = time.monotonic()
    send(settings, b"afterwards")
    read(reader, b"afterwards")
    assert time.monotonic() - healed < NOTICED, f"and {time.monotonic() - lost} s in all"


def test_records_sent_on_a_dead_connection_are_sent_again_on_another(network: Proxy, sink: KafkaSink) -> None:
    network.blackhole()
    lost = time.monotonic()
    sink.send([Outgoing(TOPIC, b"again", b"{}")])
    assert time.monotonic() - lost < NOTICED


def test_a_batch_is_given_up_once_a_part_of_it_was_not_sent_in_time(network: Proxy, sink: KafkaSink) -> None:
    """The client gives up each part by itself, which an unavailable broker may prevent."""
    network.blackhole(new=True)
    with ThreadPoolExecutor() as pool:
        sending = pool.submit(sink.send, [Outgoing(TOPIC, b"%d" % number, b"{}") for number in range(20)])
        (first, *others) = eventually(lambda: sorted(under_way(sink), key=lambda one: str(one.topic_partition)))
        assert others
        first.created = 0.0  # for the client, as long ago as can be
        began, sender = time.monotonic(), producer(sink)._sender
        sender.wakeup()
        with pytest.raises(StreamUnavailable):
            sending.result()
    assert time.monotonic() - began < module.ACKNOWLEDGE
    assert not sender.is_alive()  # what is left is not sent later


def under_way(sink: KafkaSink) -> list[Any]:
    """Return the parts of a batch, one per partition, that were sent and not acknowledged."""
    return [one for queue in dict(producer(sink)._sender._in_flight_batches).values() for _, one in queue]


def producer(sink: KafkaSink) -> Any:
    return sink._producer


def test_a_slow_network_is_given_more_time_for_acknowledgements_and_then_the_usual_time_again(
    network: Proxy, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in {"ACKNOWLEDGE": 1.0, "ACKNOWLEDGE_SLOWLY": 4.5, "SEND_TIMEOUT": 5.0}.items():
        monkeypatch.setattr(module, name, seconds)
    sink, record = KafkaSink(settings), Outgoing(TOPIC, b"wide", b"x" * (RECORD_LIMIT // 2))
    network.throttle(RECORD_LIMIT / 2 / 2.0)
    assert [is_sent(sink, record) for _ in range(2)] == [False, True]
    network.heal()
    sink.send([record])
    network.blackhole()
    lost = time.monotonic()
    sink.send([record])
    assert time.monotonic() - lost < 2.0
    sink.close()


def is_sent(sink: KafkaSink, record: Outgoing) -> bool:
    try:
        sink.send([record])
    except StreamUnavailable:
        return False
    return True


def test_a_large_answer_on_a_slow_network_is_waited_for(
    network: Proxy, settings: Settings, reader: KafkaSource
) -> None:
    before = member(reader)
    send(settings, b"large", b"x" * (RECORD_LIMIT // 2))
    network.throttle(RECORD_LIMIT / 2 / (1.5 * ANSWER))
    read(reader, b"large")
    network.heal()
    assert member(reader) == before
