"""Fill a database of the order service as years of use would, and time its queries: `make bench-scale`."""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.scale import catalogue, filling, page, pruning, reading, remembering, snapshot
from benchmarks.scale.figures import Figure, table
from oms_chassis import migrations
from oms_chassis.db import Database
from oms_chassis.sessions import Limits
from oms_servers.ports import free_port
from oms_servers.postgres import PostgresServer


def main() -> int:
    """Measure and print. Return the exit code, 1 if a figure is beyond its bound."""
    options = _parser().parse_args()
    with TemporaryDirectory(prefix="oms-scale-") as folder:
        Path(folder).chmod(0o755)
        with PostgresServer(Path(folder) / "postgres", free_port()) as server:
            figures = measure(server.url, options.orders, options.items)
    print(table(figures))
    if options.write:
        page.write(options.write, figures)
    return 0 if all(one.holds for one in figures) else 1


def measure(url: str, orders: int, items: int) -> list[Figure]:
    """Measure everything, beginning with an empty database."""
    patient, database = Database(url, limits=Limits(statement=0)), Database(url)
    migrations.upgrade(patient, "oms_order")
    filling.orders(patient, orders)
    patient.dispose()
    figures = reading.figures(database, "")
    figures += snapshot.figures(database)
    figures += pruning.figures(database, orders // 3)
    figures += reading.figures(database, ", a third deleted")
    figures += catalogue.figures(database, items)
    figures += remembering.figures(database, orders)
    database.dispose()
    return figures


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench-scale", description=__doc__)
    parser.add_argument("--orders", type=int, default=1_000_000, help="in the database (default %(default)s)")
    parser.add_argument("--items", type=int, default=100_000, help="in the catalogue (default %(default)s)")
    parser.add_argument("--write", type=Path, help="put the table into this page, between its marks")
    return parser


if __name__ == "__main__":
    sys.exit(main())
