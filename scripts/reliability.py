"""What the incidents came to, as a page: build/incidents.json in, Markdown out."""

import datetime
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from incidents import bounds
from incidents.record import FILE

PAGE = """# Reliability

Written by `make incidents` on {day}, on {cores} cores{load}, by what was measured in `build/incidents.json`.

Each line is one fault in a running platform (five services, five Postgres servers, Kafka and the receivers of messages,
all real and behind a TCP proxy) under four orders a second: half of the clients send an `Idempotency-Key` and repeat
until they are accepted, half send none and ask once.

- *answered*: the longest time that any POST took, refusals included (promised: 5 s; allowed on a busy machine:
  {ANSWERED:g} s).
- *recovered*: from the fault's end until a new order is CONFIRMED and all earlier ones have ended ({RECOVERED:g} s).
- *refused*: answers other than 202, repetitions included. *in doubt*: clients without a key whose connection broke, or
  who got `outcome-unknown`.
- *invariants*: what [must never break](architecture.md#what-must-never-break), once every customer was notified, which
  is within {SETTLED:g} s. It includes that whoever was refused has no order, and that nobody has two.

| fault | lasted s | answered s | recovered s | accepted | refused | in doubt | invariants |
|---|---|---|---|---|---|---|---|
{rows}

The incidents are `tests/incidents`; some of them are part of `make test`. They run on a machine that does other things
too: compare orders of magnitude, not digits.
"""


def main() -> int:
    """The exit code."""
    measured: Sequence[Mapping[str, Any]] = json.loads(FILE.read_text())
    day = datetime.datetime.fromtimestamp(FILE.stat().st_mtime, datetime.UTC).date()
    load = f" (load average {os.getloadavg()[2]:.0f})"
    rows = "\n".join(map(row, measured))
    sys.stdout.write(PAGE.format(day=day, cores=os.cpu_count(), load=load, rows=rows, **vars(bounds)))
    return 0


def row(one: Mapping[str, Any]) -> str:
    """An incident as a line of the table."""
    invariants = "hold" if not one["broken"] else f"broken: {', '.join(one['broken'])}"
    cells = [one["fault"], *(one[name] for name in ("lasted", "answered", "recovered", "accepted", "refused"))]
    return f"| {' | '.join(map(str, [*cells, one['in_doubt'], invariants]))} |"


if __name__ == "__main__":
    sys.exit(main())
