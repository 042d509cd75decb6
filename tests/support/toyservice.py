"""A small service as processes: its source, its migration, and how it is started and asked."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2

from oms_chassis.messaging import kafka
from oms_chassis.settings import Settings
from oms_servers.ports import free_port
from support.chassis import eventually

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


@contextmanager
def started(toy: Toy, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    kafka.reconcile_topics(Settings(database_url="postgresql://x", kafka_bootstrap=toy.kafka))
    process = toy.start(OMS_MIGRATE_ON_START="true", **environment)
    try:
        eventually(toy.is_ready, within=60)
        yield process
    finally:
        process.kill()
        process.wait()


def logged(text: str, event: str) -> dict[str, Any]:
    """The first line that logs this event."""
    lines: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
    return next(line for line in lines if line["event"] == event)
