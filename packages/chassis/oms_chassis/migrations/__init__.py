"""Migrations. Each service has versions of its own; the chassis runs them, and has the tables that all services share.

Revisions are numbers of four digits. A migration only adds, so that the previous release works on the new schema.
Tables and columns that are no longer used are dropped by a later release, once no image that needs them can come back.
"""

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from oms_chassis import failures
from oms_chassis.db import Database
from oms_chassis.runtime.waiting import until_up
from oms_chassis.telemetry import logs

if TYPE_CHECKING:
    from alembic.config import Config

log = logs.logger(__name__)

LOCK = 0x6F6D7301  # an arbitrary number, the same in every replica: one of them migrates, the others wait
_BLOCKED = ("55P03", "40P01")  # lock not available, deadlock detected
# A statement that waits for a table's lock blocks all later ones: so a migration gives up after a second, and tries
# again later. Its own work may take any time.
_SESSION = """
SET lock_timeout = '1s'; SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0
"""
# A lock of the session, because a migration may commit in between. Nobody waits for it: an index that is built while
# its table is written to (`indexes`) waits for every open transaction, including one that would wait for this lock.
_LEAD = f"""
DO $$ BEGIN
    IF NOT pg_try_advisory_lock({LOCK}) THEN
        RAISE EXCEPTION 'another replica migrates' USING ERRCODE = 'lock_not_available';
    END IF;
END $$
"""


def upgrade(database: Database, package: str, within: float | None = None) -> None:
    """Bring a database to the newest version of `package`, in one transaction, except for what `indexes` builds outside
    of it. Several replicas may do so at once.

    A schema that is newer than the package is left as it is. While the database is unavailable, or another session has
    locked what the migration needs, it is retried for `within` seconds; then the OperationalError of the last attempt
    is raised.
    """
    until_up(lambda: _attempt(database, package), OperationalError, within)


def is_blocked(error: Exception) -> bool:
    """Whether another session had locked what a migration needed; otherwise, the database itself was unavailable."""
    return failures.sqlstate(error) in _BLOCKED


def _attempt(database: Database, package: str) -> None:
    with database.engine.connect() as connection:
        try:
            _upgrade(connection, package)
        finally:
            connection.invalidate()  # ends the session, and with it its settings and the lock


def _upgrade(connection: Connection, package: str) -> None:
    connection.exec_driver_sql(_SESSION)
    if not _is_behind(connection, package):
        return
    from alembic import command  # imported here because it would take a tenth of the CPU time of each start

    connection.exec_driver_sql(_LEAD)
    if _is_behind(connection, package):  # again: another replica may have migrated meanwhile
        connection.commit()  # alembic must open the transaction itself, so that a migration can leave it
        config = configuration(package)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _is_behind(connection: Connection, package: str) -> bool:
    """Whether there are migrations to run; not if a later release has migrated this database."""
    newest, found = head(package), _found(connection)
    is_newer = bool(newest and found and found > newest)
    if is_newer:
        log.warning("schema_is_newer", database=found, image=newest)
    return found != newest and not is_newer


def head(package: str) -> str | None:
    """Return the newest revision of a package: revisions are the prefixes of its file names."""
    return max((file.stem.partition("_")[0] for file in _versions(package).glob("[0-9]*.py")), default=None)


def _found(connection: Connection) -> str | None:
    """Return the revision of the database; None if it was never migrated."""
    table = connection.exec_driver_sql("SELECT to_regclass('alembic_version')").scalar()
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() if table else None


def _versions(package: str) -> Path:
    return Path(str(files(package))) / "migrations" / "versions"


def configuration(package: str) -> "Config":
    """Return Alembic's configuration for the migrations of a service's package."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("version_locations", str(_versions(package)))
    config.set_main_option("path_separator", "newline")
    return config
