"""The proxy inflicts each fault on connections, and stops when it is healed."""

import os
import socket
import socketserver
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from support.chassis import eventually
from support.network import Proxy, proxy
from support.proxies import proxies
from support.serving import serving

from oms_servers.ports import answers


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(65536):
            self.request.sendall(data)


@contextmanager
def elsewhere(url: str) -> Iterator[Proxy]:
    with proxies() as proxy_of:
        yield proxy_of(url)


@pytest.fixture(params=[proxy, elsewhere], ids=["in this process", "in a process of its own"])
def echo(request: pytest.FixtureRequest) -> Iterator[Proxy]:
    """Run a proxy in front of an echo server."""
    in_front: Callable[[str], AbstractContextManager[Proxy]] = request.param
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo)
    server.daemon_threads = True
    with serving(server), in_front(f"tcp://127.0.0.1:{server.server_address[1]}") as one:
        yield one


def connect(to: Proxy) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", to.port), timeout=20.0)
    assert seconds(connection, b"hello") < 20.0
    return connection


def seconds(connection: socket.socket, data: bytes) -> float:
    """Return how long data takes there and back."""
    began = time.monotonic()
    connection.sendall(data)
    left = len(data)
    while left:
        left -= len(connection.recv(left))
    return time.monotonic() - began


def is_silent(connection: socket.socket) -> bool:
    """Whether data gets no answer, although the connection is open."""
    connection.settimeout(0.5)
    connection.sendall(b"anybody?")
    try:
        return connection.recv(1) == b"never"
    except TimeoutError:
        return True


def test_a_delay_is_there_both_ways_until_it_is_healed(echo: Proxy) -> None:
    with connect(echo) as connection:
        echo.delay(2.0)
        assert seconds(connection, b"x") >= 4.0
        echo.heal()
        assert seconds(connection, b"x") < 4.0


def test_a_thin_line_takes_time_in_proportion(echo: Proxy) -> None:
    with connect(echo) as connection:
        echo.throttle(1000)
        assert seconds(connection, b"x" * 2000) >= 4.0
        echo.heal()
        assert seconds(connection, b"x" * 2000) < 4.0


def test_a_half_open_connection_is_silent_and_new_ones_work(echo: Proxy) -> None:
    with connect(echo) as old:
        echo.half_open()
        assert is_silent(old)
        connect(echo).close()


def test_what_a_blackhole_swallowed_stays_silent_when_new_connections_work_again(echo: Proxy) -> None:
    with connect(echo) as old:
        echo.blackhole(new=True)
        with socket.create_connection(("127.0.0.1", echo.port), timeout=5.0) as new:
            assert is_silent(new)
        echo.heal()
        assert is_silent(old)
        connect(echo).close()


def test_a_connection_to_a_server_that_is_away_is_closed(echo: Proxy) -> None:
    echo.redirect(1)  # no server listens there
    with socket.create_connection(("127.0.0.1", echo.port), timeout=20.0) as connection:
        assert is_closed(connection)


def is_closed(connection: socket.socket) -> bool:
    """Whether the other side has ended the connection."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def test_connections_that_end_at_the_same_moment_can_be_cut(echo: Proxy) -> None:
    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            list(pool.map(socket.socket.close, [connect(echo) for _ in range(8)]))
            echo.cut()
    assert seconds(connect(echo), b"still there") < 20.0


def test_the_proxies_process_ends_with_a_program_that_is_killed() -> None:
    program = """
import sys
from support.proxies import proxies
from support.serving import serving

from oms_servers.ports import answers
with proxies() as proxy_of:
    print(proxy_of("tcp://127.0.0.1:1").port, flush=True)
    sys.stdin.read()
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    running = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
    )
    with running:
        assert running.stdout is not None
        port = int(running.stdout.readline())
        running.kill()
    assert eventually(lambda: not answers(port))
