"""Checks the invariants (docs/architecture.md) from outside: databases, the gateway's books and the mail catcher.

The same checker is used in every run that matters: end to end, crash, cluster and benchmark.

    violations = check(Sources(databases={"order": "postgresql://...", ...}, mailcatcher="http://..."))
    violations = check_when_quiet(sources, within=60)     # waits until nothing is under way
    python -m invariants --help                            # the same from a terminal
"""

from invariants.evidence import Answer, Evidence, Promised, Unanswered, Violation
from invariants.quiet import check, check_when_quiet
from invariants.reading import Expected, Sources
from invariants.rules import RULES, violations

__all__ = [
    "RULES",
    "Answer",
    "Evidence",
    "Expected",
    "Promised",
    "Sources",
    "Unanswered",
    "Violation",
    "check",
    "check_when_quiet",
    "violations",
]
