"""A service's command line.

serve     run the service (the default)
migrate   bring its database to the newest version
topics    create the topics that the broker lacks, with the partitions and settings that they should have
rewind    read again what was read since a time (--since 2026-11-25T10:00:00Z); no process of the service may run
skip      give up records that nobody can read, up to an offset (--beyond TOPIC:PARTITION:OFFSET); as for rewind
"""

import argparse
import asyncio
import contextlib
import os
import re
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime

import psycopg
from psycopg.errors import InsufficientPrivilege
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from sqlalchemy.exc import OperationalError, ProgrammingError

from oms_chassis import migrations, poolers
from oms_chassis.db import Database
from oms_chassis.messaging import kafka
from oms_chassis.messaging.streams import Partition, StreamUnavailable
from oms_chassis.runtime import misspelt
from oms_chassis.runtime.drain import LastResort
from oms_chassis.runtime.process import Process
from oms_chassis.runtime.rewinding import rewind, skip
from oms_chassis.runtime.service import Service
from oms_chassis.runtime.waiting import until_up
from oms_chassis.sessions import Limits, SessionNotOurs
from oms_chassis.settings import Settings
from oms_chassis.telemetry import logs

log = logs.logger(__name__)

COMMANDS = ("serve", "migrate", "topics", "rewind", "skip")

# How long a migration takes is unknown here: migrations set bounds of their own. Only a silent connection times out.
MIGRATING = Limits(statement=3600.0, lock=0.0, idle_in_transaction=0.0)


def main(service: Service, argv: Sequence[str] | None = None) -> int:
    """Run a service's command line, and return the exit code (2 for invalid settings)."""
    parser = argparse.ArgumentParser(prog=f"python -m {service.package}.main", description=_about(service))
    parser.add_argument("command", nargs="?", choices=COMMANDS, default="serve")
    parser.add_argument("--since", type=_moment, help="rewind: the time to go back to")
    parser.add_argument("--beyond", type=_place, metavar="TOPIC:PARTITION:OFFSET", help="skip: where to read on")
    given = parser.parse_args(argv)
    command: str = given.command
    if (command == "rewind") != (given.since is not None):
        parser.error("--since goes with rewind, and rewind with --since")
    if (command == "skip") != (given.beyond is not None):
        parser.error("--beyond goes with skip, and skip with --beyond")
    try:
        settings = service.settings()
    except ValidationError as error:
        print(_explain(error), file=sys.stderr)  # noqa: T201 - for the person at the terminal
        return 2
    logs.configure(service.name, settings.log_level, settings.log_format)
    if command == "rewind":
        return rewind(service, settings, given.since)
    if command == "skip":
        return skip(service, settings, *given.beyond)
    try:
        return {"serve": serve, "migrate": _migrate, "topics": _topics}[command](service, settings)
    except SessionNotOurs as error:
        print(error, file=sys.stderr)  # noqa: T201 - for the person at the terminal
        return 2


def _moment(text: str) -> datetime:
    """Parse a time in the past, with its zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("not a time, such as 2026-11-25T10:00:00Z") from None
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError("a time without its zone: 2026-11-25T10:00:00Z has one")
    if moment > datetime.now(UTC):
        raise argparse.ArgumentTypeError("a time that is yet to come: nothing was read since then")
    return moment


def _place(text: str) -> tuple[Partition, int]:
    """Parse a partition and an offset in it."""
    found = re.fullmatch(r"([^:]+):([0-9]{1,9}):([0-9]{1,18})", text)
    if found is None:
        raise argparse.ArgumentTypeError("not TOPIC:PARTITION:OFFSET, such as orderCreatedEvent:0:17")
    return (found[1], int(found[2])), int(found[3])


def _about(service: Service) -> str:
    return f"The {service.name} service of OMS. It is configured by environment variables (OMS_...)."


def _explain(error: ValidationError) -> str:
    return "\n".join(["These settings are missing or cannot be used:", *map(_line, error.errors())])


def _line(error: ErrorDetails) -> str:
    """Return what is wrong with a setting, and where in it. A message about several settings names them itself."""
    message = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return f"  {message}"
    name, *place = error["loc"]
    within = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return f"  {f'OMS_{name}'.upper()}{within}: {message}"


def _migrate(service: Service, settings: Settings) -> int:
    database = Database(settings.database_url, 2, MIGRATING)
    try:
        until_up(
            lambda: poolers.check(settings.database_url), psycopg.OperationalError, settings.migrate_patience_seconds
        )
        migrations.upgrade(database, service.package, settings.migrate_patience_seconds)
    except (OperationalError, psycopg.OperationalError) as error:
        reason = "migration_blocked" if migrations.is_blocked(error) else "database_unreachable"
        log.error(reason, error=type(error.__cause__ or error).__name__, seconds=settings.migrate_patience_seconds)
        return 1
    except ProgrammingError as error:
        if not isinstance(error.orig, InsufficientPrivilege):
            raise
        log.error("migration_forbidden", error=type(error.orig).__name__, why=error.orig.diag.message_primary)
        return 1
    finally:
        database.dispose()
    log.info("migrated")
    return 0


def _topics(_: Service, settings: Settings) -> int:
    try:
        changes = until_up(lambda: kafka.reconcile_topics(settings), StreamUnavailable)
    except StreamUnavailable as error:
        log.error("topics_failed", error=str(error))
        return 1
    log.info("topics_created", topics=changes.created, grown=changes.grown, configured=changes.configured)
    if changes.larger:
        log.warning("topics_larger", topics=changes.larger)
    return 0


def serve(service: Service, settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT, then drain. Return 0, or 1 if a thread failed or the drain took too long."""
    import uvloop

    for name, meant in misspelt.among(os.environ, service.settings).items():
        log.warning("no_such_setting", name=name, meant=meant)
    # the database is unavailable: later connections check this, too
    with contextlib.suppress(psycopg.OperationalError):
        poolers.check(settings.database_url)
    if settings.migrate_on_start and (failed := _migrate(service, settings)):
        return failed
    last_resort, ours = LastResort(), set(threading.enumerate())
    process = Process(service, settings, last_resort)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = runner.run(process.run())
    for thread in set(threading.enumerate()) - ours:
        if not thread.daemon:  # Python would wait for it anyway, but here the last resort limits the wait
            thread.join()
    last_resort.disarm()
    return code
