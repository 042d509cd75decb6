"""Limits how long the client waits for a broker's answer before it drops the connection and makes another one.

Behind a firewall that restarted, or to a node that vanished, a connection stays open but leads nowhere. kafka-python
3.0.12 has one limit for all answers, which has to be as long as a broker may take that itself waits for others. The
limit counts from the request, so that a large answer on a slow line never completes. Here, requests that brokers answer
at once have a short limit. It counts from the last byte that arrived, and applies only to the oldest open request,
since answers come in order.

A reader that reconnects within its session keeps its membership.

A connection that was reported as readable, but had nothing to read, has not answered: see `errorqueue`. Bytes that
arrived before the end of a connection are an answer: in them a broker says why it ends the connection, and kafka-python
ignores them.
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
CONNECT = 3.0  # seconds until a connection is made and a broker has answered on it; more after each failure

AT_ONCE = (
    FetchRequest,  # answered after half a second if there are no records
    FindCoordinatorRequest,
    HeartbeatRequest,
    ListOffsetsRequest,
    MetadataRequest,
    OffsetCommitRequest,
    OffsetFetchRequest,
)


class Connections(KafkaConnectionManager):  # type: ignore[misc] # kafka-python has no types
    """The connections of a client, with these limits."""

    def __init__(self, net: Any, **configs: Any) -> None:
        self._refusals: dict[Any, Exception] = {}
        super().__init__(net, **{**configs, "socket_connection_setup_timeout_ms": CONNECT * 1000})

    def get_connection(self, node_id: Any, *args: Any, **more: Any) -> KafkaConnection:
        """Return the client's connection to a node, with limits."""
        one = super().get_connection(node_id, *args, **more)
        if "send_request" not in vars(one):
            _limit(one)
            one.init_future.add_errback(partial(self._remember, node_id))
        return one

    def maybe_raise_auth_failure(self, node_id: Any) -> None:
        """Raise the error if client and broker did not accept each other's credentials. The library means to, but
        forgets the error at once and retries until its time is over, without saying why."""
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
    receive = transport._sock_recv  # noqa: SLF001 - there is no public hook for an empty read

    def received() -> Any:
        found, error = receive()
        if found:
            return found, None  # the next call returns the end
        if error is None:
            errorqueue.discard(transport._sock.fileno())  # noqa: SLF001 - the same
        return found, error

    transport._sock_recv = received  # noqa: SLF001 - the same


def _limit(one: KafkaConnection) -> None:
    send, give_up = one.send_request, one._request_timed_out  # noqa: SLF001 - there is no public hook for a timeout

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
    """Return when an answer that may take `limit` seconds is late. They count from the last byte that arrived, or from
    when the request became the oldest."""
    _, first, _, first_late_at, _ = one.in_flight_requests[0]
    since: float = one.transport.last_read if first is future else max(first_late_at, time.monotonic())
    return since + limit
