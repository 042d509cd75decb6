"""A service as a process: its command line, its probes, its drain. What needs no process is in test_main.py."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import psycopg
import pytest
from support.chassis import eventually
from support.network import proxy

from oms_chassis.messaging import kafka as kafka_module
from oms_chassis.migrations import LOCK
from oms_chassis.settings import Settings
from oms_servers.ports import free_port
from oms_servers.postgres import PostgresServer

pytestmark = pytest.mark.system

TOKEN = "of-this-test-0123456789"
TOY = '''
"""A service of this test: it keeps what it is sent, and can be slow about it."""
import asyncio
import logging
import threading
import time
import warnings
from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse
from oms_chassis.http.identity.requirements import Needs
from oms_chassis.telemetry.logs import logger
from oms_chassis.messaging.subscription import Subscription
from oms_chassis.jobs.queue import Done, NewJob, JobQueue
from oms_chassis.runtime.cli import main
from oms_chassis.runtime.service import Components, Context, Service
from oms_chassis.settings import Settings
from oms_chassis.messaging.subscription import Subscription
from oms_chassis.runtime.threads import Task
from oms_contracts.topics import PAYMENT_REFUNDED

ours = logger(__name__)
router = APIRouter(dependencies=[Depends(Needs())])

@router.get("/slow")
def slow() -> dict[str, str]:
    time.sleep(1.0)
    return {"done": "yes"}

@router.get("/wrong")
def wrong() -> dict[str, str]:
    raise LookupError("what a customer said")

@router.get("/cut")
def cut() -> StreamingResponse:
    def parts():
        yield b"begun"
        raise LookupError("what a customer said")
    return StreamingResponse(parts())

@router.get("/aside")
async def aside() -> None:
    async def forgotten() -> None:
        fail()
    task = asyncio.create_task(forgotten())
    await asyncio.wait([task])
    del task
    thread = threading.Thread(target=fail)
    thread.start()
    await asyncio.to_thread(thread.join)
    Unclean()
    warnings.warn("what a customer said")
    library = logging.getLogger("library")
    try:
        fail()
    except LookupError as error:
        library.exception("logged with its traceback")
        library.error("given as %s, %r", error, error)
        library.error(f"written into the message: {error}")
        library.error("%d is no number", "what a customer said")
        ours.error("ours", why=error)

class Unclean:
    def __del__(self) -> None:
        fail()

def fail() -> None:
    raise LookupError("what a customer said")

def build(context):
    crash = [lambda: context.database.execute("SELECT 1")] if context.settings.currency != "EUR" else [fail]
    return Components(
        subscriptions=[Subscription(PAYMENT_REFUNDED, lambda transaction, events: None)],
        routers=[] if context.settings.currency == "CHF" else [router],
        tasks=[Task("failing", fail, 0.05)],
        on_start=crash,
    )

SERVICE = Service("GROUP", "toy", Settings, build)

if __name__ == "__main__":
    raise SystemExit(main(SERVICE))
'''
MIGRATION = """
from oms_chassis.migrations.shared import create_chassis_tables, create_outbox_quarantine, drop_chassis_tables
from oms_chassis.migrations.shared import extend_jobs, know_ended_attempts
from oms_chassis.migrations.operators import create_audit_log, create_dead_letters
revision = "0001"
down_revision = None
downgrade = drop_chassis_tables

def upgrade():
    create_chassis_tables()
    create_outbox_quarantine()
    extend_jobs()
    know_ended_attempts()
    create_audit_log()
    create_dead_letters()
"""


class Toy:
    def __init__(self, folder: Path, database_url: str, kafka: str) -> None:
        versions = folder / "toy" / "migrations" / "versions"
        versions.mkdir(parents=True)
        (folder / "toy" / "__init__.py").touch()
        # A name of its own, and so a consumer group of its own: members that were killed linger in theirs.
        (folder / "toy" / "main.py").write_text(TOY.replace("GROUP", uuid4().hex))
        (versions / "0001_first.py").write_text(MIGRATION)
        self.http, self.internal, self.kafka = free_port(), free_port(), kafka
        self.log = folder / "toy.log"
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(folder),
            "OMS_DATABASE_URL": database_url,
            "OMS_KAFKA_BOOTSTRAP": kafka,
            "OMS_HTTP_PORT": str(self.http),
            "OMS_INTERNAL_PORT": str(self.internal),
        }

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "toy.main", *command],
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self, **environment: str) -> subprocess.Popen[bytes]:
        with self.log.open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "toy.main", "serve"], env=self.environment | environment, stdout=log, stderr=log
            )

    def get(self, path: str, port: int | None = None, **headers: str) -> httpx2.Response:
        return httpx2.get(f"http://127.0.0.1:{port or self.internal}{path}", headers=headers, timeout=10)

    def answers(self) -> bool:
        try:
            return self.get("/livez").status_code == 200
        except httpx2.TransportError:
            return False

    def is_ready(self) -> bool:
        try:
            return self.get("/readyz").status_code == 200
        except httpx2.TransportError:
            return False


@pytest.fixture
def toy(tmp_path: Path, database_url: str, kafka: str) -> Toy:
    return Toy(tmp_path, database_url, kafka)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer, kafka: str) -> Iterator[Toy]:
    """A toy that runs, for tests that only look at it."""
    name = f"toy_{uuid4().hex}"
    toy = Toy(tmp_path_factory.mktemp("toy"), postgres.create_database(name), kafka)
    toy.environment |= {"OMS_KEEP_ALIVE_SECONDS": "1", "OMS_ADMIN_TOKEN": TOKEN}
    assert toy.run("topics").returncode == 0
    with started(toy):
        yield toy
    postgres.drop_database(name)


@contextmanager
def started(toy: Toy, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    kafka_module.reconcile_topics(Settings(database_url="postgresql://x", kafka_bootstrap=toy.kafka))
    process = toy.start(OMS_MIGRATE_ON_START="true", **environment)
    try:
        eventually(toy.is_ready, within=60)
        yield process
    finally:
        process.kill()
        process.wait()


def test_settings_that_are_missing_or_wrong_are_named_and_their_values_are_not(toy: Toy) -> None:
    toy.environment.pop("OMS_KAFKA_BOOTSTRAP")
    result = toy.run("serve", OMS_DATABASE_URL="mysql://secret")
    assert result.returncode == 2
    assert "OMS_DATABASE_URL" in result.stderr
    assert "OMS_KAFKA_BOOTSTRAP" in result.stderr
    assert "secret" not in result.stderr


def test_help_names_the_commands(toy: Toy) -> None:
    result = toy.run("--help")
    assert result.returncode == 0
    assert all(word in result.stdout for word in ("serve", "migrate", "topics"))


def test_migrating_twice_at_once_is_harmless(toy: Toy) -> None:
    results: list[int] = []
    threads = [threading.Thread(target=lambda: results.append(toy.run("migrate").returncode)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [0, 0]


def test_a_release_starts_and_serves_on_the_schema_of_a_later_one(toy: Toy, database_url: str) -> None:
    assert toy.run("migrate").returncode == 0
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999_next'")
    with started(toy):
        assert toy.get("/readyz").status_code == 200
    warning = logged(toy.log.read_text(), "schema_is_newer")
    assert (warning["level"], warning["database"], warning["image"]) == ("warning", "9999_next", "0001")


@pytest.mark.parametrize(("command", "switch"), [("migrate", "false"), ("serve", "true")])
def test_a_database_that_does_not_answer_ends_a_migration_with_one_line(toy: Toy, command: str, switch: str) -> None:
    result = toy.run(
        command,
        OMS_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none",
        OMS_MIGRATE_PATIENCE_SECONDS="0.1",
        OMS_MIGRATE_ON_START=switch,
    )
    assert (result.returncode, result.stderr) == (1, "")
    assert logged(result.stdout, "waiting")["error"] == "OperationalError"
    assert logged(result.stdout.splitlines()[-1], "database_unreachable")["seconds"] == 0.1


def test_a_migration_that_somebody_holds_up_ends_with_one_line(toy: Toy, database_url: str) -> None:
    with psycopg.connect(database_url) as other:
        other.execute(f"SELECT pg_advisory_lock({LOCK})".encode())
        result = toy.run("migrate", OMS_MIGRATE_PATIENCE_SECONDS="0.1")
    assert (result.returncode, result.stderr) == (1, "")
    assert logged(result.stdout.splitlines()[-1], "migration_blocked")["error"] == "LockNotAvailable"


def logged(text: str, event: str) -> dict[str, Any]:
    """The first line that logs this event."""
    lines: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
    return next(line for line in lines if line["event"] == event)


def test_a_service_says_that_it_lives_that_it_is_ready_and_what_it_measures(running: Toy) -> None:
    toy = running
    assert toy.get("/livez").status_code == 200
    assert toy.get("/readyz").json() == {"serving": True, "database": True}
    measured = toy.get("/metrics").text
    for name in ("oms_outbox_pending", "oms_outbox_quarantined", "oms_consumer_running", "oms_relay_leader"):
        assert f"\n{name} " in measured
    eventually(lambda: "oms_consumer_running 1.0" in toy.get("/metrics").text)


def test_what_is_read_from_a_database_has_no_value_while_that_is_away(toy: Toy, database_url: str) -> None:
    """Whether it refuses or says nothing; a number of before would be taken for one of now."""

    def shown() -> tuple[bool, bool]:
        lines = toy.get("/metrics").text.splitlines()
        return "oms_database_up 1.0" in lines, any(line.startswith("oms_outbox_pending ") for line in lines)

    with proxy(database_url) as network, started(toy, OMS_DATABASE_URL=network.url(database_url)):
        eventually(lambda: shown() == (True, True))
        network.blackhole(new=True)
        eventually(lambda: shown() == (False, False))
        network.heal()
        eventually(lambda: shown() == (True, True))
        network.refuse()
        network.cut()
        eventually(lambda: shown() == (False, False))
        network.heal()
        eventually(lambda: shown() == (True, True))


WAITING = """
SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
"""


def test_scrapes_that_wait_for_a_lock_hold_one_connection_and_no_probe(running: Toy) -> None:
    url = running.environment["OMS_DATABASE_URL"]
    with psycopg.connect(url) as locking, psycopg.connect(url, autocommit=True) as looking:
        locking.execute("LOCK TABLE outbox_quarantine IN ACCESS EXCLUSIVE MODE")
        scrapes = [threading.Thread(target=running.get, args=("/metrics",)) for _ in range(20)]
        for scrape in scrapes:
            scrape.start()
        waiting = [looking.execute(WAITING).fetchone() for _ in iter(lambda: any(map(is_alive, scrapes)), False)]
        assert (1,) in waiting
        assert set(waiting) <= {(0,), (1,)}
        eventually(running.is_ready)


def is_alive(thread: threading.Thread) -> bool:
    thread.join(0.05)
    return thread.is_alive()


def test_a_service_without_http_is_not_ready_before_its_consumer(toy: Toy) -> None:
    process = toy.start(OMS_MIGRATE_ON_START="true", OMS_CURRENCY="CHF", OMS_KAFKA_BOOTSTRAP="127.0.0.1:1")
    expected = {"serving": True, "database": True, "consumer": False}
    try:
        eventually(lambda: toy.answers() and toy.get("/readyz").json() == expected, within=60)
        assert toy.get("/readyz").status_code == 503
    finally:
        process.kill()
        process.wait()


def test_a_service_with_http_is_ready_without_kafka(toy: Toy) -> None:
    process = toy.start(OMS_MIGRATE_ON_START="true", OMS_KAFKA_BOOTSTRAP="127.0.0.1:1")
    try:
        eventually(toy.is_ready, within=60)
    finally:
        process.kill()
        process.wait()


def test_without_a_token_a_service_has_no_admin_api(toy: Toy) -> None:
    with started(toy):
        assert toy.get("/admin/audit").status_code == 404


def test_probes_and_metrics_are_not_on_the_public_port(running: Toy) -> None:
    assert [running.get(path, running.http).status_code for path in ("/livez", "/readyz", "/metrics")] == [404] * 3


def test_the_admin_api_is_on_the_internal_port_only_and_there_for_those_with_a_token(running: Toy) -> None:
    known = {"Authorization": f"Bearer {TOKEN}"}
    answers = [running.get("/admin/audit", running.http, **known), running.get("/admin/audit", running.internal)]
    assert [answer.status_code for answer in answers] == [404, 401]
    assert running.get("/admin/audit", running.internal, **known).json() == []


def test_an_idle_connection_is_kept_as_long_as_the_setting_says(running: Toy) -> None:
    for port in (running.http, running.internal):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: toy\r\n\r\n")
            while connection.recv(4096):
                """Read the answer, and then wait for the end."""


@pytest.mark.parametrize("form", ["json", "console"])
def test_an_error_is_logged_without_its_text_and_a_failing_task_goes_on(toy: Toy, form: str) -> None:
    with started(toy, OMS_LOG_FORMAT=form) as process:
        assert toy.get("/wrong", toy.http).status_code == 500
        with pytest.raises(httpx2.RemoteProtocolError):
            toy.get("/cut", toy.http)
        assert toy.get("/aside", toy.http).status_code == 200
        eventually(lambda: toy.log.read_text().count("task_failed") > 1)
        process.terminate()
        assert process.wait(30) == 0
    log = toy.log.read_text()  # complete: what a server logs after its answer, it has logged by now
    assert log.count("request_failed") == 2
    assert log.count("unhandled_error") == 2
    for kept in (
        "Task exception was never retrieved",
        "traceback",
        "given as LookupError",
        "message: LookupError",
        "%d",
    ):
        assert kept in log
    assert log.count("python_warning") == 1
    assert log.count("toy/main.py:") >= 6
    assert "what a customer said" not in log


def test_a_terminated_service_answers_what_it_has_begun(toy: Toy) -> None:
    answers: list[httpx2.Response] = []
    asking = threading.Thread(target=lambda: answers.append(toy.get("/slow", toy.http)))
    with started(toy) as process:
        asking.start()
        eventually(lambda: _has_connection(process.pid, toy.http))
        process.send_signal(signal.SIGTERM)
        asking.join(10)
        assert process.wait(20) == 0
    assert [answer.json() for answer in answers] == [{"done": "yes"}]


def test_a_service_that_cannot_start_ends_with_an_error(toy: Toy) -> None:
    process = toy.start(OMS_CURRENCY="EUR", OMS_MIGRATE_ON_START="true")
    assert process.wait(30) == 1
    assert "what a customer said" not in toy.log.read_text()


@pytest.mark.parametrize("port", ["OMS_HTTP_PORT", "OMS_INTERNAL_PORT"])
def test_a_service_whose_port_somebody_has_says_so_once(toy: Toy, port: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        more = {port: str(taken.getsockname()[1]), "OMS_HTTP_HOST": "127.0.0.1", "OMS_MIGRATE_ON_START": "true"}
        assert toy.start(**more).wait(60) != 0
    log = toy.log.read_text()
    assert log.count("cannot_listen") == 1
    assert "OSError" not in log
    assert "never retrieved" not in log


def _has_connection(pid: int, port: int) -> bool:
    import psutil

    connections = psutil.Process(pid).net_connections("tcp")
    return any(c.laddr.port == port and c.status == psutil.CONN_ESTABLISHED for c in connections)
