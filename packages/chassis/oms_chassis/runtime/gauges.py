"""Gauges that are read from the database for each scrape."""

from collections.abc import Sequence

from sqlalchemy.exc import SQLAlchemyError

from oms_chassis.db import Database
from oms_chassis.jobs.queue import JobQueue
from oms_chassis.messaging import quarantine
from oms_chassis.telemetry.metrics import Metrics

MOST = 10_000  # a table's rows are counted up to this number: a scrape must not become slower as work piles up
_OUTBOX = """
SELECT (SELECT count(*) FROM (SELECT 1 FROM outbox LIMIT %(most)s) AS found) AS pending,
    coalesce((SELECT extract(epoch FROM now() - created_at) FROM outbox ORDER BY id LIMIT 1), 0)::float AS oldest
"""
_JOBS = """
SELECT queue,
    (SELECT count(*) FROM (
        SELECT 1 FROM job WHERE job.queue = asked.queue AND run_at < 'infinity' AND dead_at IS NULL
        LIMIT %(most)s) AS found) AS pending,
    (SELECT count(*) FROM (
        SELECT 1 FROM job WHERE job.queue = asked.queue AND run_at = 'infinity' LIMIT %(most)s) AS found) AS dead,
    coalesce(extract(epoch FROM now() - (
        SELECT min(run_at) FROM job WHERE job.queue = asked.queue AND run_at <= now() AND dead_at IS NULL
    )), 0)::float AS oldest
FROM unnest(%(queues)s::text[]) AS asked(queue)
"""
# What keeps deleted rows from being vacuumed: sessions that read, or wrote and continue; a standby with
# hot_standby_feedback, whose readers count (its connection has no database); prepared transactions; slots of standbys
# that fell behind.
_SNAPSHOT = """
SELECT coalesce(greatest(
    (SELECT max(greatest(age(backend_xmin), age(backend_xid))) FROM pg_stat_activity
        WHERE (datname = current_database() OR backend_type = 'walsender') AND pid <> pg_backend_pid()),
    (SELECT max(age(transaction)) FROM pg_prepared_xacts WHERE database = current_database()),
    (SELECT max(age(xmin)) FROM pg_replication_slots)
), 0) AS transactions
"""


def measure_pools(database: Database, metrics: Metrics) -> None:
    """Update the gauges of connections, without a query."""
    for pool in database.pools():
        metrics.pool_size.labels(pool.name).set(pool.size)
        metrics.pool_in_use.labels(pool.name).set(pool.in_use)


def refresh(database: Database, metrics: Metrics, job_queues: Sequence[JobQueue]) -> None:
    """Update the gauges; while the database is unavailable, they expire."""
    measure_pools(database, metrics)
    try:
        snapshot = database.execute(_SNAPSHOT)[0].transactions
        outbox = database.execute(_OUTBOX, most=MOST)[0]
        quarantined = quarantine.count(database, MOST)
        jobs = database.execute(_JOBS, most=MOST, queues=[job_queue.name for job_queue in job_queues])
    except SQLAlchemyError:
        metrics.database_up.set(0)
        return
    metrics.database_up.set(1)
    metrics.oldest_snapshot.set(snapshot)
    metrics.outbox_pending.set(outbox.pending)
    metrics.outbox_oldest.set(outbox.oldest)
    metrics.quarantine.set(quarantined)
    for row in jobs:
        metrics.jobs_pending.labels(row.queue).set(row.pending)
        metrics.jobs_dead.labels(row.queue).set(row.dead)
        metrics.jobs_oldest.labels(row.queue).set(row.oldest)
