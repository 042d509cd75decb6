"""Connections with a provider: kept, replaced, and waited for in vain no longer than they may be."""

import socket
import threading
import time
from contextlib import ExitStack, suppress

import pytest
from support.texting import HANG_UP, HANG_UP_AFTER_TAKING, listening, notice, outcomes, provider, scripted

from oms_chassis.jobs.queue import Unavailable
from oms_notifications.notice import Notice, sent


def test_connections_are_used_again() -> None:
    with scripted() as server:
        assert outcomes(server, 5) == [sent("sms-7")] * 5
    assert server.connections == 1


def test_a_provider_that_takes_a_text_and_hangs_up_sends_it_once() -> None:
    with scripted(HANG_UP_AFTER_TAKING) as server:
        assert outcomes(server, 2) == [Unavailable("sms: RemoteDisconnected"), sent("sms-7")]
    assert len(server.requests) == 2
    assert len(server.texts) == 1


def test_a_connection_that_breaks_is_replaced_for_the_next_try() -> None:
    with scripted(201, HANG_UP) as server:
        first, second, third = outcomes(server, 3)
    assert (first, third) == (sent("sms-7"), sent("sms-7"))
    assert isinstance(second, Unavailable)


def test_addresses_that_nobody_answers_at_keep_no_text_from_the_one_where_somebody_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Like IPv6 addresses in a network that only lets IPv4 out: they come first, and packets to them are dropped."""
    with scripted() as server, ExitStack() as stack:
        port = server.server_address[1]
        for last in (2, 3, 4):
            dead = stack.enter_context(socket.create_server((f"127.0.0.{last}", port), backlog=0))
            stack.enter_context(socket.create_connection(dead.getsockname(), 10))  # there is no room for another
        there = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{last}", port)) for last in (2, 3, 4, 1)]
        real = socket.getaddrinfo
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda host, *rest, **more: there if host == "sms.test" else real(host, *rest, **more),
        )
        with provider(f"http://sms.test:{port}/v1/sms", sms_timeout=4.0, sms_call_seconds=10.0) as sms:
            assert sms.send(notice()) == sent("sms-7")


def test_a_provider_that_trickles_its_answer_does_not_hold_a_call_for_ever() -> None:
    over = threading.Event()

    def trickle(connection: socket.socket) -> None:
        with suppress(OSError):
            connection.sendall(b"HTTP/1.1 201 Created\r\nX-Slow: ")
            while not over.wait(0.1):
                connection.sendall(b"x")

    with listening(trickle) as (address, serving):
        with provider(f"http://{address}/sms", sms_call_seconds=1.0) as sms:
            began = time.monotonic()
            assert sms.send(notice()) == Unavailable("sms: TimeoutError")
            assert time.monotonic() - began < 10
        over.set()
        serving.result(10)


def test_a_connection_that_the_provider_closed_meanwhile_is_not_used_again() -> None:
    with scripted() as server, provider(server.url) as sms:
        assert sms.send(notice()) == sent("sms-7")
        server.hang_up_all()
        assert sms.send(notice()) == sent("sms-7")
    assert server.connections == 2


def test_a_request_goes_out_in_one_packet() -> None:
    """http.client sends the body by itself, which wakes the provider twice."""

    def serve(connection: socket.socket) -> list[bytes]:
        requests = []
        for _ in range(20):
            requests.append(connection.recv(65536))
            connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
        return requests

    with listening(serve) as (address, serving):
        with provider(f"http://{address}/sms", sms_call_seconds=5.0) as sms:
            for _ in range(20):
                assert sms.send(notice()) == sent("o-1.confirmed")
        assert all(request.endswith(b"}") for request in serving.result(10))


def test_a_provider_that_is_silent_is_not_waited_for_longer_than_for_an_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/sms"
        with provider(url, sms_timeout=0.3, sms_call_seconds=60.0) as sms:
            began = time.monotonic()
            assert sms.send(notice()) == Unavailable("sms: TimeoutError")
            assert time.monotonic() - began < 20


def test_a_provider_that_takes_nothing_in_is_not_waited_for_either() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/sms"
        long = Notice("o-1", "confirmed", "+94762222222", "x" * 16_000_000)
        with provider(url, sms_timeout=0.3, sms_call_seconds=1.0) as sms:
            assert sms.send(long) == Unavailable("sms: TimeoutError")
