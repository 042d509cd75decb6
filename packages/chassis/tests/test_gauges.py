"""Gauges that are read from the database."""

import time
from threading import Thread

import pytest
from support.chassis import eventually

from oms_chassis.db import Database
from oms_chassis.jobs.queue import Done, JobQueue, NewJob, Paused, Retry, enqueue
from oms_chassis.jobs.worker import Worker
from oms_chassis.runtime.gauges import MOST, refresh
from oms_chassis.runtime.threads import Periodic, Task
from oms_chassis.statements import execute
from oms_chassis.telemetry.metrics import Metrics

WORKER = JobQueue("calls", lambda _: Done({}), lambda *_: None, lambda *_: None)


def oldest(database: Database, metrics: Metrics) -> float | None:
    refresh(database, metrics, [WORKER])
    return metrics.registry.get_sample_value("oms_jobs_oldest_seconds", {"queue": "calls"})


@pytest.fixture
def job(database: Database) -> None:
    """A call that was enqueued ten minutes ago."""
    with database.transaction() as transaction:
        enqueue(transaction, "calls", [NewJob("one", "one", {})])
        transaction.execute("UPDATE job SET created_at = now() - interval '10 minutes'")


@pytest.mark.usefixtures("job")
def test_a_call_that_is_not_due_yet_is_not_overdue(database: Database, metrics: Metrics) -> None:
    database.execute("UPDATE job SET run_at = now() + interval '1 hour'")
    assert oldest(database, metrics) == 0.0
    assert metrics.registry.get_sample_value("oms_jobs_pending", {"queue": "calls"}) == 1.0


@pytest.mark.usefixtures("job")
def test_a_call_is_overdue_from_the_time_when_it_was_due(database: Database, metrics: Metrics) -> None:
    database.execute("UPDATE job SET run_at = now() - interval '1 minute'")
    found = oldest(database, metrics)
    assert found is not None
    assert 60 <= found < 120


@pytest.mark.usefixtures("job")
def test_a_call_that_was_given_up_waits_for_nothing(database: Database, metrics: Metrics) -> None:
    """The previous release may make it due again, if its call was under way."""
    database.execute("UPDATE job SET dead_at = now(), run_at = now() - interval '1 h'")
    assert not oldest(database, metrics)
    pending = metrics.registry.get_sample_value("oms_jobs_pending", {"queue": "calls"})
    assert pending == 0


def test_rows_in_quarantine_are_counted(database: Database, metrics: Metrics) -> None:
    database.execute(
        "INSERT INTO outbox_quarantine (id, topic, created_at, error) VALUES (1, 'a', now(), 'x'), (2, 'b', now(), 'x')"
    )
    refresh(database, metrics, [])
    assert metrics.registry.get_sample_value("oms_outbox_quarantined") == 2.0


def seconds(database: Database, metrics: Metrics) -> float:
    """Return the time that a scrape's statements take: the minimum of several tries, since the machine is shared."""

    def once() -> float:
        began = time.perf_counter()
        refresh(database, metrics, [WORKER])
        return time.perf_counter() - began

    return min(once() for _ in range(10))


@pytest.mark.alone
def test_a_scrape_costs_the_same_however_much_waits(database: Database, metrics: Metrics) -> None:
    enough = 2 * MOST
    fill(database, 1, enough)
    small = seconds(database, metrics)
    fill(database, enough + 1, 10 * enough)
    assert seconds(database, metrics) < 3 * small
    assert metrics.registry.get_sample_value("oms_outbox_pending") == MOST
    assert metrics.registry.get_sample_value("oms_jobs_pending", {"queue": "calls"}) == MOST


def fill(database: Database, first: int, last: int) -> None:
    """Add events that wait to be sent, and calls that are due."""
    numbers = f"generate_series({first}, {last}) AS n"
    database.execute(f"INSERT INTO outbox (topic, value) SELECT 'a', 'b' FROM {numbers}")
    database.execute(f"INSERT INTO job (queue, id, subject, payload) SELECT 'calls', n, 'a', '{{}}' FROM {numbers}")
    database.execute("ANALYZE outbox, job")


def test_events_that_wait_are_counted_and_the_oldest_is_known(database: Database, metrics: Metrics) -> None:
    refresh(database, metrics, [])
    assert metrics.registry.get_sample_value("oms_outbox_oldest_seconds") == 0.0
    database.execute("INSERT INTO outbox (topic, value, created_at) VALUES ('a', 'b', now() - interval '1 hour')")
    database.execute("INSERT INTO outbox (topic, value) VALUES ('a', 'b')")
    refresh(database, metrics, [])
    assert metrics.registry.get_sample_value("oms_outbox_pending") == 2.0
    found = metrics.registry.get_sample_value("oms_outbox_oldest_seconds")
    assert found is not None
    assert 3600 <= found < 3700


def test_calls_are_counted_from_the_start(database: Database, metrics: Metrics) -> None:
    Worker(WORKER, database, metrics)
    for outcome in (Done, Retry, Paused):
        labels = {"queue": "calls", "outcome": outcome.__name__.lower()}
        assert metrics.registry.get_sample_value("oms_job_calls_total", labels) == 0.0


def test_connections_in_use_are_counted_by_pool_without_asking_the_database(metrics: Metrics) -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/nowhere", 4)
    database.reserve(1, name="reads")
    refresh(database, metrics, [])
    in_use = metrics.registry.get_sample_value("oms_database_connections_in_use", {"pool": "shared"})
    sizes = [metrics.registry.get_sample_value("oms_database_connections", {"pool": p}) for p in ("shared", "reads")]
    assert (in_use, sizes) == (0.0, [3.0, 1.0])


def test_a_connection_that_is_held_is_in_use(database: Database, metrics: Metrics) -> None:
    with database.transaction():
        refresh(database, metrics, [])
    assert metrics.registry.get_sample_value("oms_database_connections_in_use", {"pool": "shared"}) == 1.0


def test_the_age_of_the_oldest_snapshot_is_in_transactions(database: Database, metrics: Metrics) -> None:
    with database.engine.connect().execution_options(isolation_level="REPEATABLE READ") as reader:
        execute(reader, "SELECT count(*) FROM outbox", {})
        for number in range(50):
            database.execute("INSERT INTO seen (item) VALUES (%(item)s)", item=str(number))
        refresh(database, metrics, [])
        assert metrics.registry.get_sample_value("oms_database_oldest_snapshot_transactions") >= 50  # type: ignore[operator]
    refresh(database, metrics, [])
    assert metrics.registry.get_sample_value("oms_database_oldest_snapshot_transactions") < 50  # type: ignore[operator]


def test_a_transaction_that_wrote_and_idles_counts_like_a_snapshot(database: Database, metrics: Metrics) -> None:
    with database.engine.connect() as writer:
        writer.exec_driver_sql("INSERT INTO seen (item) VALUES ('idle')")
        for number in range(50):
            database.execute("INSERT INTO seen (item) VALUES (%(item)s)", item=str(number))
        refresh(database, metrics, [])
        writer.rollback()
    assert metrics.registry.get_sample_value("oms_database_oldest_snapshot_transactions") >= 50  # type: ignore[operator]


def test_a_failing_task_is_counted(metrics: Metrics) -> None:
    def fail() -> None:
        raise RuntimeError

    loop = Periodic(Task("t", fail, 0.01), metrics.task_failures.labels("t").inc)
    running = Thread(target=loop.run)
    running.start()
    eventually(lambda: (metrics.registry.get_sample_value("oms_task_failures_total", {"task": "t"}) or 0) > 1)
    loop.stop()
    running.join(10)
    assert not running.is_alive()
