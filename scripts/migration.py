"""Generate a migration from a service's tables: `make migration SERVICE=order m="what changes"`.

The existing migrations bring a new database to the newest version; its differences from the tables become the next
migration. Read it before you commit it: alembic does not see renames and CHECK constraints.
"""

import argparse
import importlib
import subprocess
import sys
from pathlib import Path

from oms_chassis import migrations
from oms_chassis.db import Database
from oms_chassis.migrations.autogenerate import revision
from oms_servers.ports import free_port
from oms_servers.postgres import NO_FSYNC, PostgresServer
from oms_servers.testing import temporary_folder


def main() -> int:
    """Run the command. Return the exit code."""
    parser = argparse.ArgumentParser(prog="make migration", description=__doc__)
    parser.add_argument("service", help="a folder in services/")
    parser.add_argument("message", help="what changes, as a short sentence")
    options = parser.parse_args()
    if not Path("services", options.service).is_dir():
        parser.error(f"there is no services/{options.service}")
    path = generate(f"oms_{options.service}", options.message)
    subprocess.run([sys.executable, "-m", "ruff", "check", "--fix", "--quiet", path], check=False)
    subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", path], check=True)
    print(path)
    return 0


def generate(package: str, message: str) -> Path:
    """Write the next migration of a package, and return its file."""
    metadata = importlib.import_module(f"{package}.tables").Tables.metadata
    with temporary_folder() as folder, PostgresServer(folder / "postgres", free_port(), settings=NO_FSYNC) as server:
        database = Database(server.url, 2)
        try:
            migrations.upgrade(database, package)
            return revision(database, package, metadata, message)
        finally:
            database.dispose()


if __name__ == "__main__":
    raise SystemExit(main())
