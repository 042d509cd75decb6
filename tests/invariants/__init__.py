"""What must never break (docs/architecture.md), checked from outside: databases, the gateway's books, the mail catcher.

One checker for every run that counts: end to end, crash, cluster and benchmark.

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
