"""Records the results of incidents in build/incidents.json, of which scripts/reliability.py makes a page."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = Path(__file__).parents[2] / "build" / "incidents.json"


@dataclass(frozen=True)
class Measured:
    """The results of one incident. Times are in seconds; `broken` are the invariants violated in the end."""

    fault: str
    lasted: float
    answered: float
    recovered: float
    accepted: int
    refused: int
    in_doubt: int
    broken: list[str]


def write(measured: Measured) -> None:
    """Add an incident to the file, and replace an earlier run of it."""
    FILE.parent.mkdir(exist_ok=True)
    known = json.loads(FILE.read_text()) if FILE.exists() else []
    others = [one for one in known if one["fault"] != measured.fault]
    FILE.write_text(json.dumps([*others, asdict(measured)], indent=2) + "\n")
