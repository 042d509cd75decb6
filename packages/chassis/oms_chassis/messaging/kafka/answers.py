"""How long an answer of a broker is waited for, before its connection is given up and another one made.

Behind a firewall that restarted, or a node that vanished, a connection is open and leads nowhere. kafka-python 3.0.12
has one limit for all answers, which has to be as long as a broker may take that waits for others. It counts from the
question, so that a large answer on a thin line is never complete. Here what brokers answer at once has a short limit,
which counts from the last byte that arrived, and only on what is to be answered next: answers come in order.

A reader that connects again in less than its session stays the member that it was.

Nor is it an answer that a connection seemed to have something to read, and had nothing: see `errorqueue`. What came
before a connection's end is one: by it a broker says why it ends it, and kafka-python does not look.
"""

import time
from functools import partial
from ssl import SSLCertVerificationError
from typing import Any

from kafka.errors import KafkaConnectionError, SaslAuthenticationFailedError
from kafka.net.connection import KafkaConnection
from kafka.net.manager import KafkaConnectionManager
from kafka.protocol.consumer import (
    FetchRequest,
    HeartbeatRequest,
    ListOffsetsRequest,
    OffsetCommitRequest,
    OffsetFetchRequest,
)
from kafka.protocol.metadata import FindCoordinatorRequest, MetadataRequest

from oms_chassis.messaging.kafka import errorqueue

ANSWER = 5.0  # seconds
CONNECT = 3.0  # seconds until a connection is made and a broker has answered on it; longer after each that failed

AT_ONCE = (
    FetchRequest,  # when there is nothing, after half a second
    FindCoordinatorRequest,
    HeartbeatRequest,
    ListOffsetsRequest,
    MetadataRequest,
    OffsetCommitRequest,
    OffsetFetchRequest,
)


class Connections(KafkaConnectionManager):  # type: ignore[misc] # kafka-python has no types
    """A client's connections, with these limits."""

    def __init__(self, net: Any, **configs: Any) -> None:
        self._refusals: dict[Any, Exception] = {}
        super().__init__(net, **{**configs, "socket_connection_setup_timeout_ms": CONNECT * 1000})

    def get_connection(self, node_id: Any, *args: Any, **more: Any) -> KafkaConnection:
        """As the client does, and limited."""
        one = super().get_connection(node_id, *args, **more)
        if "send_request" not in vars(one):
            _limit(one)
            one.init_future.add_errback(partial(self._remember, node_id))
        return one

    def maybe_raise_auth_failure(self, node_id: Any) -> None:
        """That one of the two does not know the other is raised: the library means to, forgets it at once, and tries
        until its time is over, which says nothing of why."""
        if node_id in self._refusals:
            raise self._refusals.pop(node_id)

    def _remember(self, node_id: Any, error: Exception) -> None:
        if isinstance(error, SaslAuthenticationFailedError | SSLCertVerificationError):
            self._refusals[node_id] = error

    async def _build_transport(self, *args: Any, **more: Any) -> Any:
        try:
            transport = await super()._build_transport(*args, **more)
        except KafkaConnectionError as error:
            if isinstance(error.__context__, SSLCertVerificationError):
                raise error.__context__ from None
            raise
        _read_errors(transport)
        return transport


def _read_errors(transport: Any) -> None:
    receive = transport._sock_recv  # noqa: SLF001 - nothing public is asked when there is nothing

    def received() -> Any:
        found, error = receive()
        if found:
            return found, None  # the end is there the next time, too
        if error is None:
            errorqueue.discard(transport._sock.fileno())  # noqa: SLF001 - the same
        return found, error

    transport._sock_recv = received  # noqa: SLF001 - the same


def _limit(one: KafkaConnection) -> None:
    send, give_up = one.send_request, one._request_timed_out  # noqa: SLF001 - nothing public is asked when time is up

    def limited(request: Any, request_timeout_ms: float | None = None) -> Any:
        if request_timeout_ms is None and isinstance(request, AT_ONCE):
            request_timeout_ms = ANSWER * 1000
        return send(request, request_timeout_ms=request_timeout_ms)

    def late(future: Any, sent_at: float, timeout_at: float) -> None:
        if one.closed or future.is_done:
            return
        until = _waits_until(one, future, timeout_at - sent_at)
        if until > time.monotonic():
            one.net.call_at(until, lambda: late(future, sent_at, timeout_at))
        else:
            give_up(future, sent_at, timeout_at)

    one.send_request, one._request_timed_out = limited, late  # noqa: SLF001 - the same


def _waits_until(one: KafkaConnection, future: Any, limit: float) -> float:
    """When an answer is late that may take so many seconds: since something arrived, or since it became the next."""
    _, first, _, first_late_at, _ = one.in_flight_requests[0]
    since: float = one.transport.last_read if first is future else max(first_late_at, time.monotonic())
    return since + limit
