"""A pytest plugin: real servers for tests.

They start when the first test asks, once per worker process, and end with it. Their data is thrown away.
"""

import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from oms_servers import memory
from oms_servers.kafka import KafkaServer
from oms_servers.ports import free_port
from oms_servers.postgres import NO_FSYNC, PostgresServer

__all__ = [
    "database_like",
    "database_url",
    "free_port",
    "kafka",
    "kafka_server",
    "memory_folder",
    "postgres",
    "servers_folder",
    "temporary_folder",
]


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a folder that Postgres can reach, and that is removed afterwards. Other users cannot enter tmp_path."""
    with _made(Path(tempfile.mkdtemp(prefix="oms-test-"))) as folder:
        yield folder


@contextmanager
def memory_folder() -> Iterator[Path]:
    """Yield such a folder, in memory if possible."""
    memory.remove_orphans("oms-test")
    made = tempfile.mkdtemp(prefix=memory.prefix("oms-test"), dir=memory.place_of_folders())
    with _made(Path(made)) as folder:
        yield folder


@contextmanager
def _made(folder: Path) -> Iterator[Path]:
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def servers_folder() -> Iterator[Path]:
    """The data and logs of this worker's servers."""
    with memory_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def postgres(servers_folder: Path) -> Iterator[PostgresServer]:
    """A running Postgres server."""
    settings = {**NO_FSYNC, "max_connections": "200"}
    with PostgresServer(servers_folder / "postgres", free_port(), settings=settings) as server:
        yield server


@pytest.fixture
def database_url(postgres: PostgresServer) -> Iterator[str]:
    """The URL of an empty database that only this test knows."""
    with _database(postgres, "template1") as url:
        yield url


@contextmanager
def database_like(postgres: PostgresServer, template: str, prepare: Callable[[str], None]) -> Iterator[str]:
    """Yield the URL of a database that only this test knows: a copy of one that is prepared once for each process."""
    if not postgres.has_database(template):
        prepare(postgres.create_database(template))
    with _database(postgres, template) as url:
        yield url


@contextmanager
def _database(postgres: PostgresServer, template: str) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    yield postgres.create_database(name, template)
    postgres.drop_database(name)


@pytest.fixture(scope="session")
def kafka_server(servers_folder: Path) -> Iterator[KafkaServer]:
    """A running Kafka broker, for tests that stop or kill it (and start it again)."""
    server = KafkaServer(servers_folder / "kafka", free_port())
    with server:
        yield server
        server.kill()  # nobody needs its data: no orderly end


@pytest.fixture(scope="session")
def kafka(kafka_server: KafkaServer) -> str:
    """The bootstrap address of a running Kafka broker."""
    return kafka_server.bootstrap
