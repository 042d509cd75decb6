"""Print the part of requirements.lock that some packages need to run, with its hashes.

The lock file includes development tools, and an image should not. Each of its entries names the packages that need it
("# via"), so that a package's dependencies follow from the file alone, without resolving again.
"""

import argparse
import re
import sys
from collections.abc import Iterable
from pathlib import Path

NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
PLACE = re.compile(r" \([^:)]*\)$")  # the folder of a package of this project; with a colon, a dependency group


def entries(lock: str) -> dict[str, str]:
    """Return the lock file's text for each distribution, by name."""
    parts = re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE)
    return {match[0]: part for part in parts if (match := NAME.match(part))}


def wanted_by(entry: str) -> set[str]:
    """Return the packages that need the distribution, without the project's own dependency groups."""
    _, _, reasons = entry.partition("# via")
    # Lines that are not indented are the end of the file.
    lines = (PLACE.sub("", line.strip(" #")) for line in reasons.splitlines() if line.startswith(" "))
    return {line for line in lines if NAME.fullmatch(line)}


def closure(lock: str, packages: Iterable[str]) -> dict[str, str]:
    """Return the entries of these packages and of everything that they need."""
    found = entries(lock)
    reasons = {name: wanted_by(entry) for name, entry in found.items()}
    needed = set(packages)
    while more := {name for name, by in reasons.items() if name not in needed and by & needed}:
        needed |= more
    return {name: entry for name, entry in found.items() if name in needed}


def own(lock: str) -> set[str]:
    """Return this project's packages, as far as they need anything."""
    return {name for entry in entries(lock).values() for name in wanted_by(entry) if name.startswith("oms-")}


def main(arguments: list[str]) -> None:
    """Print the entries."""
    parser = argparse.ArgumentParser(prog="runtime_lock.py", description=__doc__)
    parser.add_argument("lock", type=Path)
    parser.add_argument("packages", nargs="*", help="whose needs; without any, those of all this project's packages")
    parser.add_argument("--but", action="append", default=[], help="a package whose needs do not count")
    parser.add_argument("--beyond", type=Path, help="leave out what this lock file has")
    options = parser.parse_args(arguments)
    lock = options.lock.read_text()
    roots = (set(options.packages) or own(lock)) - set(options.but)
    present = entries(options.beyond.read_text()) if options.beyond else {}
    print("".join(entry for name, entry in closure(lock, roots).items() if name not in present), end="")


if __name__ == "__main__":
    main(sys.argv[1:])
