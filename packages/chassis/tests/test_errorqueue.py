"""Errors that the network reports about a connection are read once: otherwise, every later wait for data would end at
once.

Networks report such errors while a connection is made, which needs a firewall. Here the kernel makes them, for each
packet that is sent: it can be asked to report when that was.
"""

import select
import socket
from collections.abc import Iterator
from contextlib import closing
from uuid import uuid4

import pytest
from support.chassis import eventually

from oms_chassis.messaging.kafka import KafkaSource, errorqueue, reconcile_topics
from oms_chassis.messaging.kafka.connection import connection
from oms_chassis.settings import Settings
from oms_contracts.topics import ITEM_UPDATED

pytestmark = pytest.mark.skipif(not hasattr(socket, "MSG_ERRQUEUE"), reason="only Linux has an error queue")

TIMESTAMPING, WHEN_SENT, SOFTWARE = 37, 1 << 1, 1 << 4  # SO_TIMESTAMPING; SOF_TIMESTAMPING_TX_SOFTWARE, _SOFTWARE
TIMES = (socket.SOL_SOCKET, TIMESTAMPING, WHEN_SENT | SOFTWARE)


def has_something(descriptor: int) -> bool:
    """Whether every poll of a connection would end at once, although nothing has arrived."""
    polled = select.poll()
    polled.register(descriptor, 0)
    return bool(polled.poll(0))


@pytest.fixture
def connected() -> Iterator[socket.socket]:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        closing(socket.create_connection(server.getsockname())) as client,
    ):
        client.setsockopt(*TIMES)
        client.sendall(b"hello")
        eventually(lambda: has_something(client.fileno()))
        yield client


def test_the_error_queue_is_emptied_and_the_connection_keeps_working(connected: socket.socket) -> None:
    errorqueue.discard(connected.fileno())
    assert not has_something(connected.fileno())
    connected.sendall(b"and again")
    eventually(lambda: has_something(connected.fileno()))


def test_an_empty_queue_is_no_error(connected: socket.socket) -> None:
    errorqueue.discard(connected.fileno())
    errorqueue.discard(connected.fileno())
    assert not has_something(connected.fileno())


def test_a_reader_empties_the_queue_and_waits_for_its_broker_again(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(database_url="postgresql://nobody@127.0.0.1:1/none", kafka_bootstrap=kafka)
    reconcile_topics(settings)
    asking = {**connection(settings), "socket_options": [TIMES]}
    monkeypatch.setattr("oms_chassis.messaging.kafka.source.connection", lambda _: asking)
    reader = KafkaSource(settings, uuid4().hex, [ITEM_UPDATED.name])
    with closing(reader):
        eventually(lambda: (reader.poll(0.2), reader.is_assigned())[1])
        connections = list(reader._consumer._client._manager._conns.values())
        sockets = [one.transport._sock.fileno() for one in connections if one.connected and one.transport]
        assert sockets
        for each in sockets:
            eventually(lambda: not has_something(each), 5.0)  # noqa: B023 - called within its round
