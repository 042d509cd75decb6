"""Migrations of a database that is in use, and of one that is ahead of the code."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from alembic.util import CommandError
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError, OperationalError
from support.chassis import eventually

from oms_chassis import migrations
from oms_chassis.db import Database

Release = Callable[..., str]


@pytest.fixture
def release(tmp_path: Path) -> Iterator[Release]:
    """Create a package with these statements as its migrations 0001, 0002, ..., and return its name."""
    made: list[str] = []

    def make(*statements: str) -> str:
        name = f"release_{uuid4().hex}"
        versions = tmp_path / name / "migrations" / "versions"
        versions.mkdir(parents=True)
        (tmp_path / name / "__init__.py").touch()
        for number, sql in enumerate(statements, 1):
            before = f'"{number - 1:04}"' if number > 1 else None
            imports = "from alembic import op\nfrom oms_chassis.migrations import indexes\n"
            head = f'{imports}revision = "{number:04}"\ndown_revision = {before}\n'
            step = sql if sql.startswith("indexes.") else f'op.execute("""{sql}""")'
            (versions / f"{number:04}.py").write_text(f"{head}def upgrade():\n    {step}\n")
        made.append(name)
        return name

    sys.path.insert(0, str(tmp_path))
    yield make
    sys.path.remove(str(tmp_path))
    for name in made:
        sys.modules.pop(name, None)


@pytest.fixture
def empty(database_url: str) -> Iterator[Database]:
    database = Database(database_url, 4)
    yield database
    database.dispose()


@contextmanager
def held(url: str, *statements: str) -> Iterator[psycopg.Connection]:
    """Keep a transaction of another session open during the block, after these statements."""
    with psycopg.connect(url) as connection:
        for statement in statements:
            connection.execute(statement.encode())
        yield connection
        connection.rollback()


def revision(database: Database) -> str:
    return str(database.execute("SELECT version_num FROM alembic_version")[0].version_num)


HELD_UP = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
FIRST, SECOND = "CREATE TABLE thing (id int)", "ALTER TABLE thing ADD COLUMN name text"


def test_an_older_release_leaves_a_newer_schema_as_it_is(empty: Database, release: Release) -> None:
    older, newer = release(FIRST), release(FIRST, SECOND)
    migrations.upgrade(empty, newer)
    migrations.upgrade(empty, older)
    assert revision(empty) == "0002"
    empty.execute("INSERT INTO thing (id, name) VALUES (1, 'kept')")


def test_an_unknown_schema_that_is_not_newer_is_refused(empty: Database, release: Release) -> None:
    package = release(FIRST, SECOND)
    migrations.upgrade(empty, package)
    empty.execute("UPDATE alembic_version SET version_num = '0001_other'")
    with pytest.raises(CommandError):
        migrations.upgrade(empty, package)


def test_a_start_with_nothing_to_migrate_does_not_import_alembic(
    empty: Database, release: Release, database_url: str, tmp_path: Path
) -> None:
    package = release(FIRST)
    migrations.upgrade(empty, package)
    program = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from oms_chassis import migrations
from oms_chassis.db import Database
migrations.upgrade(Database({database_url!r}, 1), {package!r})
print("alembic" in sys.modules)
"""
    started = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert started.stdout.splitlines()[-1] == "False"


def test_replicas_that_start_together_migrate_once(empty: Database, release: Release) -> None:
    package = release(FIRST, "INSERT INTO thing VALUES (1)")
    with ThreadPoolExecutor(3) as replicas:
        list(replicas.map(lambda _: migrations.upgrade(empty, package), range(3)))
    assert len(empty.execute("SELECT id FROM thing")) == 1


def test_a_replica_waits_no_longer_for_another_s_migration_than_it_may(
    empty: Database, release: Release, database_url: str
) -> None:
    package = release(FIRST)
    with (
        held(database_url, f"SELECT pg_advisory_lock({migrations.LOCK})"),
        pytest.raises(OperationalError) as raised,
    ):
        migrations.upgrade(empty, package, within=0.1)
    assert migrations.is_blocked(raised.value)
    migrations.upgrade(empty, package)
    assert revision(empty) == "0001"


def test_a_replica_with_nothing_to_migrate_does_not_wait_for_a_later_release_s_migration(
    empty: Database, release: Release, database_url: str
) -> None:
    package = release(FIRST)
    migrations.upgrade(empty, package)
    with held(database_url, f"SELECT pg_advisory_lock({migrations.LOCK})"):
        migrations.upgrade(empty, package, within=0.1)


def test_a_migration_is_tried_again_until_a_long_transaction_has_ended(
    empty: Database, release: Release, database_url: str
) -> None:
    migrations.upgrade(empty, release(FIRST))
    newer = release(FIRST, SECOND)
    migrating = threading.Thread(target=migrations.upgrade, args=(empty, newer))
    with held(database_url, "SELECT count(*) FROM thing"), psycopg.connect(database_url, autocommit=True) as observer:

        def is_held_up() -> bool:
            return bool(observer.execute(HELD_UP).fetchone())

        migrating.start()
        eventually(is_held_up, within=30)
        eventually(lambda: not is_held_up(), within=30)  # it gave way, so that others get at the table
        assert observer.execute("SELECT * FROM thing").fetchall() == []
        assert revision(empty) == "0001"
    migrating.join(30)
    assert revision(empty) == "0002"


def impatient(connection: Any, _: Any) -> None:
    connection.execute("SET statement_timeout = 200")
    connection.execute("SET lock_timeout = 1234")
    connection.commit()


def test_a_migration_may_take_longer_than_other_statements_and_leaves_the_session_unchanged(
    database_url: str, release: Release
) -> None:
    database = Database(database_url, 2)
    event.listen(database.engine, "connect", impatient)
    migrations.upgrade(database, release("SELECT pg_sleep(0.5)"))
    assert database.execute("SHOW statement_timeout")[0][0] == "200ms"
    assert database.execute("SHOW lock_timeout")[0][0] == "1234ms"
    database.dispose()


def test_a_migration_that_fails_leaves_nothing_behind(empty: Database, release: Release) -> None:
    with pytest.raises(Exception, match="absent"):
        migrations.upgrade(empty, release(FIRST, "ALTER TABLE absent ADD COLUMN name text"))
    assert empty.execute("SELECT to_regclass('thing') AS found")[0].found is None


INDEX = 'indexes.create("thing_name", "thing", ["name"])'
LARGE = "INSERT INTO thing (id, name) SELECT n, 'a' || n FROM generate_series(1, 200000) AS n"
VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('thing_name')"
UNDER_WAY = "SELECT 1 FROM pg_stat_progress_create_index WHERE datname = current_database()"


@pytest.fixture
def large(empty: Database, release: Release) -> str:
    """A release whose next migration indexes a large table."""
    migrations.upgrade(empty, release(FIRST, SECOND, LARGE))
    return release(FIRST, SECOND, LARGE, INDEX, "CREATE TABLE other (id int)")


def test_a_large_table_is_indexed_while_it_is_written_to(empty: Database, large: str, database_url: str) -> None:
    migrating = threading.Thread(target=migrations.upgrade, args=(empty, large))
    with held(database_url, "UPDATE thing SET name = 'held' WHERE id = 1") as writer:
        migrating.start()
        eventually(lambda: bool(empty.execute(UNDER_WAY)), within=30)
        for number in range(50):  # while the build waits for somebody else, nobody waits for the build
            empty.execute("INSERT INTO thing VALUES (%(id)s, 'new')", id=-number)
            empty.execute("UPDATE thing SET name = 'changed' WHERE id = %(id)s", id=100 + number)
        assert migrating.is_alive()
        writer.commit()
        migrating.join(60)
    assert not migrating.is_alive()
    assert revision(empty) == "0005"
    assert empty.execute(VALID)[0].indisvalid


def test_other_replicas_do_not_hold_up_the_one_that_builds_an_index(empty: Database, large: str) -> None:
    with ThreadPoolExecutor(3) as replicas:
        list(replicas.map(lambda _: migrations.upgrade(empty, large), range(3)))
    assert empty.execute(VALID)[0].indisvalid


def test_an_index_whose_build_was_interrupted_is_rebuilt(empty: Database, large: str) -> None:
    empty.execute("UPDATE thing SET name = 'same' WHERE id < 3")
    with pytest.raises(IntegrityError):
        empty.execute("CREATE UNIQUE INDEX CONCURRENTLY thing_name ON thing (name)")
    assert not empty.execute(VALID)[0].indisvalid
    migrations.upgrade(empty, large)
    assert empty.execute(VALID)[0].indisvalid
    assert revision(empty) == "0005"


def test_a_migration_that_was_interrupted_after_its_index_continues(empty: Database, large: str) -> None:
    migrations.upgrade(empty, large)
    empty.execute("UPDATE alembic_version SET version_num = '0003'")
    empty.execute("DROP TABLE other")
    migrations.upgrade(empty, large)
    assert revision(empty) == "0005"
