"""`python order.py FOLDER SERVICE`: the whole platform in a folder, and an order on it.

Prints, as JSON, what became of the order and which orders the service has an entry of.
"""

import json
import sys
from pathlib import Path

import httpx2
import psycopg
from support.catalogue import ENVIRONMENT, await_known
from support.chassis import eventually
from support.orders import body, ended, place

from oms_platform.platform import Platform
from oms_servers.postgres import NO_FSYNC

CATCHES_UP = 60.0  # seconds


def entries(url: str) -> list[str]:
    """The orders that the service has an entry of."""
    with psycopg.connect(url) as connection:
        return [order_id for (order_id,) in connection.execute("SELECT order_id FROM entry")]


def main(folder: Path, service: str) -> None:
    """Start the platform, place the order, wait for what follows, end everything."""
    platform = Platform(folder, environment=ENVIRONMENT, postgres=NO_FSYNC)
    with platform, httpx2.Client(base_url=platform.url, timeout=20.0) as client:
        await_known(platform.url)
        order = ended(client, place(client, body()))
        eventually(lambda: order["id"] in entries(platform.databases[service].url), within=CATCHES_UP)
        print(json.dumps({"status": order["status"], "services": list(platform.services)}))
        platform.kill()  # nobody needs its data: no orderly end


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
