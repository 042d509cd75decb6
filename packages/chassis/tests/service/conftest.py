"""A toy service: one per test, or one that runs for all tests that only observe it."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from support.toyservice import TOKEN, Toy, started

from oms_servers.postgres import PostgresServer


@pytest.fixture
def toy(tmp_path: Path, database_url: str, kafka: str) -> Toy:
    return Toy(tmp_path, database_url, kafka)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer, kafka: str) -> Iterator[Toy]:
    """A running toy, for tests that only observe it."""
    name = f"toy_{uuid4().hex}"
    toy = Toy(tmp_path_factory.mktemp("toy"), postgres.create_database(name), kafka)
    toy.environment |= {"OMS_KEEP_ALIVE_SECONDS": "1", "OMS_ADMIN_TOKEN": TOKEN}
    assert toy.run("topics").returncode == 0
    with started(toy):
        yield toy
    postgres.drop_database(name)
