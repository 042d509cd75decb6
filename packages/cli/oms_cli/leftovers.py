"""Finds dead letters and quarantined events that are not in any finding about an order or a refund: for example those
about messages, items, and orders that are not stuck (yet)."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from oms_cli.client import Json
from oms_cli.diagnosis import Finding
from oms_cli.lists import Lists


@dataclass(frozen=True)
class Kind:
    """A kind of rows that may be left over: its name, its list, its time, and the commands that settle it."""

    name: str
    key: str
    path: str
    since: str
    commands: str
    filters: Mapping[str, str] = field(default_factory=dict)


KINDS = (
    Kind("dead letter", "deadLetters", "/admin/dead-letters", "deadAt", "oms deadletters", {"state": "dead"}),
    Kind("quarantined event", "quarantined", "/admin/outbox", "quarantinedAt", "oms outbox"),
)


class Named:
    """The rows that the findings about orders and refunds have named."""

    def __init__(self) -> None:
        self._ids: dict[tuple[str, str], set[int]] = defaultdict(set)

    def note(self, order: str, finding: Finding, evidence: Mapping[str, Json]) -> None:
        """Note the rows of the kind and the service that a finding about an order names. All of the order's count,
        because an operator who settles one of them comes to the others, too."""
        for service, found in evidence.items():
            for kind in KINDS:
                if finding.command.startswith(f"{kind.commands} redrive {service} "):
                    self._ids[service, kind.key] |= {row["id"] for row in found[kind.key] if row["subject"] == order}

    def ids(self, service: str, kind: Kind) -> set[int]:
        """Return the ids of the named rows of a service."""
        return self._ids[service, kind.key]


def findings(lists: Lists, conditions: Mapping[str, Json], named: Named, limit: int) -> Iterator[Finding]:
    """Yield one finding for each service and kind that has rows which were not named."""
    for service, condition in conditions.items():
        for kind in KINDS:
            if condition[kind.key]:
                known = named.ids(service, kind)
                found = lists.quietly(service, kind.path, len(known) + limit, **kind.filters)
                left = [row for row in found if row["id"] not in known]
                if left:
                    yield _finding(service, kind, left, is_all=not found.is_cut)


def _finding(service: str, kind: Kind, left: Sequence[Json], *, is_all: bool) -> Finding:
    what = f"{len(left)}{'' if is_all else ' or more'} {kind.name}{'' if len(left) == 1 else 's'} of {service}"
    causes = sorted({f"{row['topic']}: {row['error']}" for row in left})
    more = ", and others" if len(causes) > 3 else ""
    evidence = f"{what} that nothing above names ({', '.join(causes[:3])}{more})"
    since = min(row[kind.since] for row in left)
    return Finding(
        f"service {service}", f"its {kind.name}s", since, evidence, f"{kind.commands} list --service {service}"
    )
