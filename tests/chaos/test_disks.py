"""A database whose disk is full reports that, and continues with its data once there is room again."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from support import disks

from oms_servers.ports import free_port
from oms_servers.postgres import PostgresServer
from oms_servers.testing import temporary_folder


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    if reason := disks.obstacle():
        pytest.skip(reason)
    with temporary_folder() as folder:
        made = PostgresServer(folder / "database", free_port())
        with disks.own_disk(made):
            made.start()
            made.await_ready()
            yield made
            made.kill()


def grow(server: PostgresServer, megabytes: int) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        for _ in range(megabytes):
            connection.execute("INSERT INTO kept SELECT repeat('x', 1000) FROM generate_series(1, 1000)")


def count(server: PostgresServer) -> int:
    with psycopg.connect(server.url) as connection:
        return int((connection.execute("SELECT count(*) FROM kept").fetchone() or (0,))[0])


def test_a_full_disk_refuses_new_data_and_loses_nothing(server: PostgresServer) -> None:
    server.run("CREATE TABLE kept (text text)", "oms")
    grow(server, 3)
    with disks.full(server), pytest.raises(psycopg.OperationalError):
        grow(server, 200)
    before = count(server)
    assert before >= 3000
    grow(server, 1)
    assert count(server) == before + 1000


def test_a_disk_is_removed_at_the_end_of_its_block() -> None:
    if reason := disks.obstacle():
        pytest.skip(reason)
    with temporary_folder() as folder:
        made = PostgresServer(folder / "database", free_port())
        with disks.own_disk(made):
            assert str(made.folder.parent) in Path("/proc/mounts").read_text()
        assert str(made.folder.parent) not in Path("/proc/mounts").read_text()


def test_a_disk_can_be_filled_while_a_program_writes_to_it(server: PostgresServer) -> None:
    writer = subprocess.Popen(["sh", "-c", f"while :; do head -c 4096 /dev/zero >>'{server.folder.parent}/more'; done"])
    try:
        for _ in range(20):
            with disks.full(server):
                pass
    finally:
        writer.kill()
        writer.wait()
