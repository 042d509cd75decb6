"""What the incidents of a run came to: build/incidents.json, which scripts/reliability.py makes a page of."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = Path(__file__).parents[2] / "build" / "incidents.json"


@dataclass(frozen=True)
class Measured:
    """One incident. Times are in seconds; `broken` are the invariants that did not hold in the end."""

    fault: str
    lasted: float
    answered: float
    recovered: float
    accepted: int
    refused: int
    in_doubt: int
    broken: list[str]


def write(measured: Measured) -> None:
    """Add an incident to the file, in place of an earlier run of it."""
    FILE.parent.mkdir(exist_ok=True)
    known = json.loads(FILE.read_text()) if FILE.exists() else []
    others = [one for one in known if one["fault"] != measured.fault]
    FILE.write_text(json.dumps([*others, asdict(measured)], indent=2) + "\n")
