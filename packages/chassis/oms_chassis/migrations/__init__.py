"""Migrations: each service brings its versions, the chassis the way to run them and the tables that all share.

Revisions are four digits that count up, and a migration only adds, so that the release before it works on its schema:
what is no longer wanted is dropped by a later release, once no image that needs it can come back.
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

LOCK = 0x6F6D7301  # any number, the same in every replica: one of them migrates, the others wait
_BLOCKED = ("55P03", "40P01")  # lock not available, deadlock detected
# What waits for a table's lock holds up all who come after it: a migration gives way after a second and tries again
# later. Its own work may take as long as it takes.
_SESSION = """
SET lock_timeout = '1s'; SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0
"""
# Of the session, since a migration may commit in between. Nobody waits for it: an index that is built while its table
# is written to (`indexes`) waits for every transaction that is open, also for one that would wait for us.
_LEAD = f"""
DO $$ BEGIN
    IF NOT pg_try_advisory_lock({LOCK}) THEN
        RAISE EXCEPTION 'another replica migrates' USING ERRCODE = 'lock_not_available';
    END IF;
END $$
"""


def upgrade(database: Database, package: str, within: float | None = None) -> None:
    """Bring a database to the newest version of `package`, in one transaction, but for what `indexes` builds outside
    of it; safe in several replicas at once.

    A schema that is newer than the package is left as it is. While the database is away or somebody holds what the
    migration needs, it is tried again for `within` seconds; then the OperationalError of the last attempt is raised.
    """
    until_up(lambda: _attempt(database, package), OperationalError, within)


def is_blocked(error: Exception) -> bool:
    """Whether another session held what a migration needed; otherwise, the database itself was not available."""
    return failures.sqlstate(error) in _BLOCKED


def _attempt(database: Database, package: str) -> None:
    with database.engine.connect() as connection:
        try:
            _upgrade(connection, package)
        finally:
            connection.invalidate()  # with the session go its settings, and the lock


def _upgrade(connection: Connection, package: str) -> None:
    connection.exec_driver_sql(_SESSION)
    if not _is_behind(connection, package):
        return
    from alembic import command  # here: at each start of a service it would be a tenth of the CPU

    connection.exec_driver_sql(_LEAD)
    if _is_behind(connection, package):  # still: another replica may have migrated meanwhile
        connection.commit()  # alembic opens the transaction: only then may a migration leave it
        config = configuration(package)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _is_behind(connection: Connection, package: str) -> bool:
    """Whether there is something to migrate; not if a later release has migrated this database."""
    newest, found = head(package), _found(connection)
    is_newer = bool(newest and found and found > newest)
    if is_newer:
        log.warning("schema_is_newer", database=found, image=newest)
    return found != newest and not is_newer


def head(package: str) -> str | None:
    """The newest revision of a package, by which the names of its files begin."""
    return max((file.stem.partition("_")[0] for file in _versions(package).glob("[0-9]*.py")), default=None)


def _found(connection: Connection) -> str | None:
    """The revision of the database; None for one that was never migrated."""
    table = connection.exec_driver_sql("SELECT to_regclass('alembic_version')").scalar()
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() if table else None


def _versions(package: str) -> Path:
    return Path(str(files(package))) / "migrations" / "versions"


def configuration(package: str) -> "Config":
    """Alembic's configuration for the migrations of a service's package."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("version_locations", str(_versions(package)))
    config.set_main_option("path_separator", "newline")
    return config
