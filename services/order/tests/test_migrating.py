"""The command that migrates, as a pod runs it."""

import json
import os
import subprocess
import sys

import psycopg


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
