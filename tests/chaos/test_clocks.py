"""A database's clock is set wrong while it runs, and back again."""

import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from support import clocks
from support.chassis import eventually
from support.clocks import Clock, jumped

from chaos.kinds import JUMP
from oms_servers.ports import free_port
from oms_servers.postgres import PostgresServer
from oms_servers.testing import temporary_folder

ABOUT = 60.0  # seconds
NOW = "SELECT extract(epoch FROM now())::float"


@pytest.fixture
def folder() -> Iterator[Path]:
    if reason := clocks.obstacle():
        pytest.skip(reason)
    with temporary_folder() as made:
        yield made


def is_ahead(connection: psycopg.Connection, seconds: int) -> bool:
    def is_so() -> bool:
        (now,) = connection.execute(NOW).fetchone() or (0.0,)
        return abs(float(now) - time.time() - seconds) < ABOUT

    return eventually(is_so, within=10.0)


@pytest.mark.parametrize("seconds", [JUMP, -JUMP])
def test_a_clock_jumps_for_connections_that_are_open_and_for_new_ones(folder: Path, seconds: int) -> None:
    clock, server = Clock(folder / "clock"), PostgresServer(folder / "database", free_port())
    server.more = clock.environment()
    with server, psycopg.connect(server.url, autocommit=True) as connection:
        assert is_ahead(connection, 0)
        with jumped(clock, seconds):
            assert is_ahead(connection, seconds)
            with psycopg.connect(server.url) as another:
                assert is_ahead(another, seconds)
        assert is_ahead(connection, 0)
