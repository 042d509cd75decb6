"""The embedded Postgres accepts any password in its secret, and a changed one after its next start."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from oms_servers import folders
from oms_servers.ports import free_port
from oms_servers.postgres import PostgresServer, binaries
from oms_servers.testing import memory_folder

FILES = Path(__file__).parents[2] / "charts" / "oms" / "files" / "postgres"
USER = "loyalty_points"
PASSWORDS = {
    "plain": "plain",
    "quotes": """it's "quoted" """,
    "shell": r"back\slash $HOME `id` ;--",
    "percent": "ümläut %41 {{ x }}",
    "lines": "one\\n\\two\n\n;three's\r\n",
    "SQL": "'; DROP ROLE postgres; --",
}


class Embedded(PostgresServer):
    """The server as the chart starts it: prepared by its script, with its rules for logging in."""

    def __init__(self, folder: Path, password: str) -> None:
        super().__init__(folder, free_port(), settings={"hba_file": str(folder.with_suffix(".hba"))})
        self._password = password

    def prepare(self) -> None:
        self.folder.with_suffix(".hba").write_text((FILES / "pg_hba.conf").read_text())
        given = {"PGDATA": str(self.folder), "SERVICE_USER": USER, "SERVICE_PASSWORD": self._password}
        done = subprocess.run(
            ["bash", "-c", (FILES / "prepare.sh").read_text()],
            env={**os.environ, **given, "PATH": f"{binaries()}:{os.environ['PATH']}"},
            **folders.run_as(self.account()),
            cwd="/",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""

    def is_ready(self) -> bool:
        try:
            self.connect(self._password).close()
        except psycopg.OperationalError as error:
            return "authentication failed" in str(error)  # it answers, and the test reports what is wrong
        return True

    def connect(self, password: str) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user=USER, dbname=USER, password=password, connect_timeout=5
        )


@pytest.fixture(scope="module")
def volume() -> Iterator[Path]:
    """Yield a volume, which outlives each start."""
    with memory_folder() as folder:
        place = folders.within_reach(folder / "postgres", "lib")
        place.mkdir(parents=True, exist_ok=True)
        folders.give_away(place)
        yield place / "data"


@pytest.mark.parametrize("password", PASSWORDS.values(), ids=PASSWORDS.keys())
def test_a_service_can_log_in_only_with_its_password(volume: Path, password: str) -> None:
    with Embedded(volume, password) as server:
        with server.connect(password) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS mine (id int)")
        with pytest.raises(psycopg.OperationalError, match="authentication failed"):
            server.connect(f"{password}x")
