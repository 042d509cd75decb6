"""The commands of a service, run as processes. Tests that need no process are in test_main.py."""

import threading

import psycopg
import pytest
from support.toyservice import Toy, logged

from oms_chassis.migrations import LOCK

pytestmark = pytest.mark.system


def test_missing_and_invalid_settings_are_named_without_their_values(toy: Toy) -> None:
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


def test_a_blocked_migration_ends_with_one_line(toy: Toy, database_url: str) -> None:
    with psycopg.connect(database_url) as other:
        other.execute(f"SELECT pg_advisory_lock({LOCK})".encode())
        result = toy.run("migrate", OMS_MIGRATE_PATIENCE_SECONDS="0.1")
    assert (result.returncode, result.stderr) == (1, "")
    assert logged(result.stdout.splitlines()[-1], "migration_blocked")["error"] == "LockNotAvailable"
