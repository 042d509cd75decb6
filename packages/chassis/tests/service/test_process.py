"""A service as a process: its start, its logs and its end."""

import signal
import socket
import threading

import httpx2
import psycopg
import pytest
from support.chassis import eventually
from support.toyservice import TOKEN, Toy, logged, started

pytestmark = pytest.mark.system


def test_a_release_starts_and_serves_on_the_schema_of_a_later_one(toy: Toy, database_url: str) -> None:
    assert toy.run("migrate").returncode == 0
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999_next'")
    with started(toy):
        assert toy.get("/readyz").status_code == 200
    warning = logged(toy.log.read_text(), "schema_is_newer")
    assert (warning["level"], warning["database"], warning["image"]) == ("warning", "9999_next", "0001")


def test_without_a_token_a_service_has_no_admin_api(toy: Toy) -> None:
    with started(toy):
        assert toy.get("/admin/audit").status_code == 404


def test_the_admin_api_is_on_the_internal_port_only_and_needs_a_token(running: Toy) -> None:
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
def test_an_error_is_logged_without_its_text_and_a_failing_task_continues(toy: Toy, form: str) -> None:
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


def test_a_terminated_service_answers_the_requests_it_has_begun(toy: Toy) -> None:
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
def test_a_service_whose_port_is_taken_logs_it_once(toy: Toy, port: str) -> None:
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
