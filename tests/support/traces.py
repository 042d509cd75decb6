"""Yields everything that a platform has written or sent: logs, metrics, messages, dumps, and raw files of stores."""

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx2
import psycopg

from oms_contracts.topics import SERVICES
from oms_platform.platform import Platform
from oms_servers.postgres import binaries

Trace = tuple[str, bytes]
_NOTHING = bytes(8192)  # a page of a file that is larger than its contents


def spoken(response: httpx2.Response) -> bytes:
    """Return everything that a server sent, without the request."""
    headers = b"".join(name + b": " + value + b"\n" for name, value in response.headers.raw)
    return headers + b"\n" + response.content


def orders(platform: Platform) -> dict[str, str]:
    """Return the email address of each order."""
    with psycopg.connect(platform.databases["order"].url) as connection:
        return dict(connection.execute("SELECT id::text, email FROM orders").fetchall())


def logs(platform: Platform) -> Iterator[Trace]:
    yield from _files(platform.folder / "logs")


def metrics(platform: Platform) -> Iterator[Trace]:
    for name in SERVICES:
        yield name, httpx2.get(f"http://127.0.0.1:{platform.at.internal[name]}/metrics").raise_for_status().content


def messages(platform: Platform) -> Iterator[Trace]:
    """Yield the messages, decoded as the customers read them."""
    found = httpx2.get(
        f"{platform.mailcatcher_url}/messages", params={"limit": 1_000_000}, timeout=60.0
    ).raise_for_status()
    yield "mailcatcher", json.dumps(found.json(), ensure_ascii=False).encode()


def dumps(platform: Platform) -> Iterator[Trace]:
    for name in SERVICES:
        command = [str(binaries() / "pg_dump"), "--dbname", platform.databases[name].url]
        yield name, subprocess.run(command, capture_output=True, check=True).stdout


def databases(platform: Platform) -> Iterator[Trace]:
    """Yield tables, indexes and the write-ahead log, including deleted rows."""
    for server in platform.databases.values():
        server.run("CHECKPOINT")
        yield from _files(server.folder)


def kafka(platform: Platform) -> Iterator[Trace]:
    """Yield every segment; its indexes contain only offsets."""
    yield from ((path, content) for path, content in _files(platform.kafka.data) if path.endswith(".log"))


def mailcatcher(platform: Platform) -> Iterator[Trace]:
    yield from _files(platform.folder / "data" / "mailcatcher")


STORED: Mapping[str, Callable[[Platform], Iterator[Trace]]] = {
    "messages": messages,
    "dumps": dumps,
    "data of databases": databases,
    "data of kafka": kafka,
    "data of mailcatcher": mailcatcher,
}
KINDS: Mapping[str, Callable[[Platform], Iterator[Trace]]] = {"logs": logs, "metrics": metrics, **STORED}


def _files(folder: Path) -> Iterator[Trace]:
    for path in sorted(folder.rglob("*")):
        try:
            if path.is_file():
                yield str(path.relative_to(folder)), path.read_bytes().replace(_NOTHING, b"")
        except FileNotFoundError:  # a running server removes what it no longer needs
            continue
