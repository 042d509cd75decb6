"""A backup is made, data is lost, and the script that docs/backup.md names restores it."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from support.cluster import CONTEXT, Cluster

from oms_contracts.topics import SERVICES

pytestmark = pytest.mark.cluster

OF_AN_ORDER = {
    "orders": "SELECT * FROM orders WHERE id = '{}'",
    "order_line": "SELECT * FROM order_line WHERE order_id = '{}'",
    "timeline": "SELECT * FROM timeline WHERE order_id = '{}'",
}
RESTORE = Path(__file__).parents[2] / "scripts" / "restore.py"


@pytest.fixture
def backed_up(cluster: Cluster) -> Iterator[None]:
    """Yield a release that makes backups; afterwards it makes none, and has none."""
    cluster.upgrade("database.embedded.backup.enabled=true")
    yield
    cluster.upgrade("database.embedded.backup.enabled=false")
    cluster.kubectl("delete", "pvc", "oms-backup")  # it outlives the release


def test_data_lost_after_a_backup_is_restored_and_later_events_are_read_again(
    cluster: Cluster, place: Callable[[], str], backed_up: None
) -> None:
    order_id = place()
    cluster.kubectl("create", "job", "backup-now", "--from=cronjob/oms-backup")
    try:
        cluster.kubectl("wait", "--for=condition=complete", "job/backup-now", "--timeout=180s")
    finally:
        cluster.kubectl("delete", "job", "backup-now")
    later = place()
    kept = {table: psql(cluster, f"COPY ({rows.format(later)}) TO STDOUT") for table, rows in OF_AN_ORDER.items()}
    psql(cluster, "DELETE FROM orders; DELETE FROM inbox")
    assert httpx2.get(f"{cluster.url}/order/{order_id}").status_code == 404
    command = [sys.executable, str(RESTORE), f"--context={CONTEXT}", "dumps"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("rewound") == len(SERVICES)
    cluster.await_ready()
    assert httpx2.get(f"{cluster.url}/order/{order_id}").json()["status"] == "CONFIRMED"
    assert httpx2.get(f"{cluster.url}/order/{later}").status_code == 404  # docs/backup.md says so
    place()
    for table, rows in kept.items():  # the other services still have their share of it, and later tests check the books
        psql(cluster, f"COPY {table} FROM STDIN", given=rows)


def psql(cluster: Cluster, sql: str, given: str = "") -> str:
    """Run a statement in the order service's database, and return its output."""
    command = ("psql", "--host=/var/run/postgresql", "--username=postgres", "--quiet", "order", "-c", sql)
    return cluster.kubectl("exec", "-i", "oms-order-postgres-0", "--container=postgres", "--", *command, given=given)
