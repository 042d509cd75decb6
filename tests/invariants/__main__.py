"""`python -m invariants --database order=postgresql://... [--database ...] [--mailcatcher URL] [--kafka HOST:PORT]`

Waits until nothing is under way, then prints every broken rule. The exit code is 0 if there is none, 1 otherwise.
"""

import argparse
import sys
from collections.abc import Sequence

from invariants import Sources, check_when_quiet
from oms_contracts.topics import SERVICES


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m invariants", description="Check what must never break in OMS.")
    parser.add_argument("--database", action="append", default=[], metavar="SERVICE=URL", help="once for each service")
    parser.add_argument("--mailcatcher", help="the mail catcher's address; messages are not checked without it")
    parser.add_argument("--kafka", help="host:port; dead letters are not checked without it")
    parser.add_argument("--within", type=float, default=60.0, help="seconds to wait for the system to come to rest")
    options = parser.parse_args(argv)
    databases = dict(one.partition("=")[::2] for one in options.database)
    if set(databases) != set(SERVICES):
        parser.error(f"--database is needed for each of {', '.join(SERVICES)}")
    broken = check_when_quiet(Sources(databases, options.mailcatcher, options.kafka), within=options.within)
    sys.stdout.writelines(f"{violation}\n" for violation in broken)
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
