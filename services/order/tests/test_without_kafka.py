"""The service as a process that starts while Kafka is away."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from support.chassis import eventually

from oms_chassis.db import Database
from oms_chassis.messaging.kafka import KafkaSource, reconcile_topics
from oms_contracts.topics import ORDER_CREATED
from oms_order.settings import OrderSettings
from oms_servers.kafka import KafkaServer
from oms_servers.ports import free_port

pytestmark = pytest.mark.system


@contextmanager
def serving(settings: OrderSettings, log: Path) -> Iterator[httpx2.Client]:
    environment = {
        **os.environ,
        "OMS_DATABASE_URL": settings.database_url,
        "OMS_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "OMS_HTTP_PORT": str(settings.http_port),
        "OMS_INTERNAL_PORT": str(settings.internal_port),
    }
    with log.open("wb") as file:
        process = subprocess.Popen([sys.executable, "-m", "oms_order.main"], env=environment, stdout=file, stderr=file)
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{settings.http_port}", timeout=10) as client:
            yield client
    finally:
        process.kill()
        process.wait()


def is_ready(settings: OrderSettings) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{settings.internal_port}/readyz", timeout=10).status_code == 200
    except httpx2.TransportError:
        return False


def test_orders_are_taken_by_a_process_that_starts_while_kafka_is_away_and_go_out_when_it_comes(
    database: Database, migrated_url: str, body: dict[str, Any], servers_folder: Path, tmp_path: Path
) -> None:
    assert database
    broker = KafkaServer(servers_folder / "late-kafka", free_port())
    settings = OrderSettings(
        database_url=migrated_url,
        kafka_bootstrap=broker.bootstrap,
        http_port=free_port(),
        internal_port=free_port(),
    )
    with serving(settings, tmp_path / "order.log") as client:
        eventually(lambda: is_ready(settings), within=60)
        answer = client.post("/order", json=body)
        assert answer.status_code == 202
        with broker:
            reconcile_topics(settings)
            source = KafkaSource(settings, uuid4().hex, [ORDER_CREATED.name])
            records = eventually(lambda: source.poll(0.2), within=60)
            source.close()
            assert [ORDER_CREATED.decode(one.value or b"").subject for one in records] == [answer.json()["id"]]
