"""Gauges that stand for what is in the database, read when they are asked for."""

from collections.abc import Sequence

from sqlalchemy.exc import SQLAlchemyError

from oms_chassis.db import Database
from oms_chassis.jobs.queue import JobQueue
from oms_chassis.telemetry.metrics import Metrics

_OUTBOX = """
SELECT count(*) AS pending, coalesce(extract(epoch FROM now() - min(created_at)), 0)::float AS oldest FROM outbox
"""
_QUARANTINED = "SELECT count(*) AS rows FROM outbox_quarantine"
_JOBS = """
SELECT queue, count(*) FILTER (WHERE dead_at IS NULL) AS pending, count(dead_at) AS dead,
       coalesce(extract(epoch FROM now() - min(run_at) FILTER (WHERE run_at <= now())), 0)::float AS oldest
FROM job GROUP BY queue
"""


def refresh(database: Database, metrics: Metrics, job_queues: Sequence[JobQueue]) -> None:
    """Bring the gauges up to date; while the database is away they keep their last values."""
    try:
        outbox = database.execute(_OUTBOX)[0]
        quarantined = database.execute(_QUARANTINED)[0].rows
        queues = {row.queue: row for row in database.execute(_JOBS)}
    except SQLAlchemyError:
        return
    metrics.outbox_pending.set(outbox.pending)
    metrics.outbox_oldest.set(outbox.oldest)
    metrics.quarantine.set(quarantined)
    for job_queue in job_queues:
        row = queues.get(job_queue.name)
        metrics.jobs_pending.labels(job_queue.name).set(row.pending if row else 0)
        metrics.jobs_dead.labels(job_queue.name).set(row.dead if row else 0)
        metrics.jobs_oldest.labels(job_queue.name).set(row.oldest if row else 0.0)
