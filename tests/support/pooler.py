"""PgBouncer in front of a test's database."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from oms_servers.folders import give_away, run_as, unprivileged
from oms_servers.ports import free_port, is_taken
from support.chassis import eventually

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")


@contextmanager
def pooler(url: str, folder: Path, mode: str, *, takes_options: bool = True, query: str = "") -> Iterator[str]:
    """The URL of a database through a pooler; skips where there is no PgBouncer.

    `query` is what the pooler runs on each new connection with the server.
    """
    if PROGRAM is None:
        pytest.skip("there is no PgBouncer here")
    port, parts = free_port(), urlsplit(url)
    name = parts.path[1:]
    connect_query = f" connect_query='{query}'" if query else ""
    (folder / "pgbouncer.ini").write_text(
        f"""[databases]
{name} = host={parts.hostname} port={parts.port} user={parts.username} password={parts.password or ""}{connect_query}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
ignore_startup_parameters = extra_float_digits{",options" if takes_options else ""}
"""
    )
    give_away(folder)
    command = [PROGRAM, "-q", str(folder / "pgbouncer.ini")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, **run_as(unprivileged())) as process:
        try:
            eventually(lambda: is_taken(port))
            yield parts._replace(netloc=f"{parts.username}@127.0.0.1:{port}").geturl()
        finally:
            process.kill()
