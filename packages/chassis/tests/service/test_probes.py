"""The probes and metrics of a service that runs as a process."""

import threading

import psycopg
import pytest
from support.chassis import eventually
from support.network import proxy
from support.toyservice import Toy, started

pytestmark = pytest.mark.system


def test_a_service_reports_liveness_readiness_and_metrics(running: Toy) -> None:
    toy = running
    assert toy.get("/livez").status_code == 200
    assert toy.get("/readyz").json() == {"serving": True, "database": True}
    measured = toy.get("/metrics").text
    for name in ("oms_outbox_pending", "oms_outbox_quarantined", "oms_consumer_running", "oms_relay_leader"):
        assert f"\n{name} " in measured
    eventually(lambda: "oms_consumer_running 1.0" in toy.get("/metrics").text)


def test_gauges_read_from_the_database_have_no_value_while_it_is_unavailable(toy: Toy, database_url: str) -> None:
    """Whether it refuses connections or is silent: an old value would be taken for a current one."""

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


def test_probes_and_metrics_are_not_on_the_public_port(running: Toy) -> None:
    assert [running.get(path, running.http).status_code for path in ("/livez", "/readyz", "/metrics")] == [404] * 3
