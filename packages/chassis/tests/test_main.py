"""A service's command line without a separate process: what it refuses, and how it serves and drains."""

import os
import signal
import threading
from uuid import uuid4

import httpx2
import pytest
from fastapi import APIRouter
from support.chassis import chassis_only, eventually

from oms_chassis.jobs.queue import Done, JobQueue, NewJob, enqueue
from oms_chassis.messaging import kafka as kafka_module
from oms_chassis.messaging.streams import StreamUnavailable
from oms_chassis.messaging.subscription import Subscription
from oms_chassis.runtime.cli import main
from oms_chassis.runtime.service import Components, Context, Service
from oms_chassis.runtime.threads import Task
from oms_chassis.settings import Settings
from oms_contracts.topics import PAYMENT_REFUNDED
from oms_servers.ports import free_port

NOTHING = Service("toy", "toy", Settings, lambda _: Components())


@pytest.mark.parametrize("place", ["host:port/toy", "[::1/toy", "host/toy?secret=1", "a:1,b:99999999/toy"])
def test_an_invalid_database_url_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    monkeypatch.setenv("OMS_DATABASE_URL", f"postgresql://toy:secret@{place}")
    monkeypatch.setenv("OMS_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    assert main(NOTHING, ["migrate"]) == 2
    printed = capsys.readouterr()
    assert "OMS_DATABASE_URL: must be postgresql://" in printed.err
    assert "secret" not in printed.out + printed.err


def test_the_topics_command_reports_an_unavailable_broker(
    monkeypatch: pytest.MonkeyPatch, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_: Settings) -> list[str]:
        raise StreamUnavailable("KafkaConnectionError")

    monkeypatch.setattr(kafka_module, "reconcile_topics", refuse)
    monkeypatch.setattr("oms_chassis.runtime.waiting.START_TIMEOUT", 0.0)
    monkeypatch.setenv("OMS_DATABASE_URL", database_url)
    monkeypatch.setenv("OMS_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    assert main(NOTHING, ["topics"]) == 1
    assert "topics_failed" in capsys.readouterr().out


def test_an_idle_connection_is_kept_longer_than_proxies_keep_theirs() -> None:
    assert Settings.model_fields["keep_alive_seconds"].default > 600


def test_a_service_serves_and_drains_within_a_process(
    monkeypatch: pytest.MonkeyPatch, database_url: str, kafka: str
) -> None:
    """The same as in tests/service with processes, but here coverage can measure it."""
    drained: list[str] = []
    settled: list[str] = []
    internal, public = free_port(), free_port()
    for name, value in {
        "DATABASE_URL": database_url,
        "KAFKA_BOOTSTRAP": kafka,
        "INTERNAL_PORT": str(internal),
        "HTTP_PORT": str(public),
    }.items():
        monkeypatch.setenv(f"OMS_{name}", value)
    database = chassis_only(database_url)

    def build(context: Context) -> Components:
        queue = JobQueue("calls", lambda _: Done(), lambda _, jobs: settled.extend(job.id for job, _ in jobs), _nothing)
        return Components(
            subscriptions=[Subscription(PAYMENT_REFUNDED, _nothing)],
            job_queues=[queue],
            routers=[APIRouter()],
            tasks=[Task("look", lambda: None, 0.01)],
            on_stop=[lambda: drained.append(context.settings.currency)],
        )

    def use_it() -> None:
        def is_ready() -> bool:
            try:
                return httpx2.get(f"http://127.0.0.1:{internal}/readyz").status_code == 200
            except httpx2.TransportError:
                return False

        try:
            eventually(is_ready, within=30)
            with database.transaction() as transaction:
                enqueue(transaction, "calls", [NewJob("a", "order", {})])
            eventually(lambda: settled == ["a"])
            eventually(lambda: "oms_jobs_pending" in httpx2.get(f"http://127.0.0.1:{internal}/metrics").text)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    user = threading.Thread(target=use_it)
    user.start()
    assert main(Service(uuid4().hex, "toy", Settings, build), ["serve"]) == 0
    user.join()
    assert (settled, drained) == (["a"], ["USD"])
    database.dispose()


def _nothing(*_: object) -> None:
    """Handle events by doing nothing."""
