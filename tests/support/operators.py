"""An operator who uses the command line on a platform that a test started."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from oms_contracts.topics import SERVICES
from oms_platform.platform import Platform
from oms_servers.postgres import NO_FSYNC
from oms_servers.testing import memory_folder
from support import catalogue, commandline


@dataclass(frozen=True)
class Operator:
    """Runs `oms` with the addresses and the token of this platform, and nothing else in its environment."""

    platform: Platform

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables that a person would set for a deployment on another machine."""
        at = self.platform.at
        urls = {f"OMS_ADMIN_URL_{name.upper()}": f"http://127.0.0.1:{at.internal[name]}" for name in SERVICES}
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("OMS_")},
            **urls,
            "OMS_HOME": str(self.platform.folder / "nowhere"),
            "OMS_ADMIN_TOKEN": self.platform.admin_token,
            "OMS_URL": self.platform.url,
            "OMS_INVENTORY_URL": self.platform.inventory_url,
            "OMS_MAILCATCHER_URL": self.platform.mailcatcher_url,
            "USER": "ann",
            "LOGNAME": "ann",
        }

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command, whatever its exit code."""
        return commandline.run(arguments, self.environment, timeout=240)

    def oms(self, *arguments: str) -> str:
        """Run a command that must succeed, and return its output."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def json(self, *arguments: str, code: int = 0) -> Any:
        """Run a command that must end with this exit code, and return the JSON document that it prints."""
        done = self.run(*arguments, "--json")
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout)


@contextmanager
def own_platform() -> Iterator[Platform]:
    """Run a platform for one module, with a known stock; it is killed at the end of the block."""
    with memory_folder() as folder, Platform(folder, environment=catalogue.ENVIRONMENT, postgres=NO_FSYNC) as made:
        catalogue.await_known(made.url)
        yield made
        made.kill()


def run_sql(platform: Platform, service: str, statement: str) -> list[Any]:
    """Run a statement in a service's database, and return its rows, if any."""
    with psycopg.connect(platform.databases[service].url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []
