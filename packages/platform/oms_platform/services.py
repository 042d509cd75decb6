"""The project's own programs: the services, and the mail catcher that stands in for mail and SMS providers."""

import http.client
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from oms_platform.addresses import HOST, Addresses
from oms_platform.declarations import declaration
from oms_servers.server import Server

# As in the images (Dockerfile.base says why), so that what is measured here is what is run there.
MEMORY = {"MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_THRESHOLD_": "1048576", "MALLOC_TRIM_THRESHOLD_": "1048576"}


def answers_ok(port: int, path: str) -> bool:
    """Whether a program on this machine answers 200."""
    connection = http.client.HTTPConnection(HOST, port, timeout=3.0)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class HttpServer(Server):
    """A program that reports by HTTP whether it is ready."""

    def __init__(
        self, name: str, log: Path, listens: tuple[int, ...], ready: tuple[int, str],
        command: Sequence[str], environment: Mapping[str, str],
    ) -> None:  # fmt: skip
        super().__init__(name, log, listens)
        self.ready, self._command, self._environment = ready, list(command), dict(environment)

    def command(self) -> list[str]:
        return self._command

    def environment(self) -> Mapping[str, str]:
        return self._environment

    def is_ready(self) -> bool:
        return answers_ok(*self.ready)


def service(
    name: str, at: Addresses, log: Path, database_url: str,
    command: Sequence[str] | None = None, extra: Mapping[str, str] | None = None, admin_token: str = "",
) -> HttpServer:  # fmt: skip
    """Return a service as its folder declares it. `command` replaces its own, `extra` adds to its environment, and
    `admin_token` is the token of its admin API."""
    declared = declaration(name)
    listens = (*([at.http[name]] if declared.http else []), at.internal[name])
    common = {**_common(name, at, database_url), "OMS_ADMIN_TOKEN": admin_token}
    environment = {**common, **declared.environment(at), **(extra or {})}
    start = command or [sys.executable, "-m", f"oms_{name}.main", "serve"]
    return HttpServer(name, log, listens, (at.internal[name], "/readyz"), start, environment)


def mailcatcher(at: Addresses, folder: Path, log: Path) -> HttpServer:
    """Return the mail catcher, which receives and shows what the email and SMS services send."""
    options = ["--smtp-port", str(at.smtp), "--http-port", str(at.mailcatcher), "--folder", str(folder)]
    command = [sys.executable, "-m", "oms_simulators.mailcatcher", *options]
    return HttpServer("mailcatcher", log, (at.mailcatcher, at.smtp), (at.mailcatcher, "/livez"), command, {})


def _common(name: str, at: Addresses, database_url: str) -> Mapping[str, str]:
    return {
        **MEMORY,
        "OMS_DATABASE_URL": database_url,
        "OMS_KAFKA_BOOTSTRAP": f"{HOST}:{at.kafka}",
        "OMS_HTTP_HOST": HOST,
        "OMS_HTTP_PORT": str(at.http[name]),
        "OMS_INTERNAL_PORT": str(at.internal[name]),
        "OMS_MIGRATE_ON_START": "true",  # saves starting an interpreter for a separate migration
    }
