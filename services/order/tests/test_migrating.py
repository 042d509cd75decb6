"""The command that migrates, as a pod runs it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest


def migrate(database_url: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "OMS_DATABASE_URL": database_url, "OMS_KAFKA_BOOTSTRAP": "127.0.0.1:1"}
    command = [sys.executable, "-m", "oms_order.main", "migrate"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_an_older_image_leaves_a_newer_schema_as_it_is_and_says_so(database_url: str) -> None:
    assert migrate(database_url).returncode == 0
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999_next'")
    result = migrate(database_url)
    assert (result.returncode, result.stderr) == (0, "")
    (warning,) = (line for line in map(json.loads, result.stdout.splitlines()) if line["event"] == "schema_is_newer")
    assert (warning["level"], warning["database"]) == ("warning", "9999_next")
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("9999_next",)]


@pytest.fixture
def role(database_url: str) -> Iterator[str]:
    """One to which nothing was granted, as a managed Postgres makes it next to a database."""
    name = f"role_{uuid4().hex}"
    with psycopg.connect(database_url, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {name} LOGIN".encode())
        yield name
        admin.execute(f"DROP OWNED BY {name}".encode())
        admin.execute(f"DROP ROLE {name}".encode())


def test_a_role_that_may_not_make_tables_is_said_to(database_url: str, role: str) -> None:
    result = migrate(database_url.replace("//oms:oms@", f"//{role}@"))
    assert result.returncode == 1
    said = json.loads(result.stdout.splitlines()[-1])
    assert (said["event"], said["why"]) == ("migration_forbidden", "permission denied for schema public")


def test_a_role_with_a_schema_of_its_own_needs_nothing_else(database_url: str, role: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as admin:
        admin.execute(f"CREATE SCHEMA AUTHORIZATION {role}".encode())
    assert migrate(database_url.replace("//oms:oms@", f"//{role}@")).returncode == 0
