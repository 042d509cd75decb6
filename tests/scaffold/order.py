"""`python order.py FOLDER SERVICE` runs the whole platform in a folder, and places an order on it.

It prints, as JSON, the outcome of the order and the orders for which the service has an entry.
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
    """Return the orders for which the service has an entry."""
    with psycopg.connect(url) as connection:
        return [order_id for (order_id,) in connection.execute("SELECT order_id FROM entry")]


def main(folder: Path, service: str) -> None:
    """Start the platform, place the order, wait for the outcome, and end everything."""
    platform = Platform(folder, environment=ENVIRONMENT, postgres=NO_FSYNC)
    with platform, httpx2.Client(base_url=platform.url, timeout=20.0) as client:
        await_known(platform.url)
        order = ended(client, place(client, body()))
        eventually(lambda: order["id"] in entries(platform.databases[service].url), within=CATCHES_UP)
        print(json.dumps({"status": order["status"], "services": list(platform.services)}))
        platform.kill()  # nobody needs its data, so it need not end in an orderly way


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
