"""Runs the CLI as a person does."""

import os
import subprocess
from pathlib import Path

from oms_contracts.topics import SERVICES
from support import commandline


def oms(command: str, url: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a command against one server in place of every service. Return its output and its exit code."""
    names = ("OMS_URL", "OMS_INVENTORY_URL", "OMS_MAILCATCHER_URL")
    admins = {f"OMS_ADMIN_URL_{service.upper()}": url for service in SERVICES}
    environment = {**os.environ, **dict.fromkeys(names, url), **admins}
    environment |= {"OMS_HOME": str(home), "OMS_ADMIN_TOKEN": "of-this-test-0123456789"}
    return commandline.run(command.split(), environment)
