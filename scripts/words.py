"""Checks the project's words: fails on those that were given up, or that a reader of English would stumble on.

`words.py [--report] [--but PATH]... [PATH...]`. Without paths, it checks every file that git knows or could add; of a
folder, those in it. `--but` leaves out a file or a folder. `--report` only counts, and never fails.
docs/glossary.md has the words to use instead.
"""

import argparse
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]

# Words not to write (regular expressions), and what to write instead. Prose matches in any case, also as part of
# a name, where `_` counts as a space; names match exactly.
PROSE = {
    r"work(?:s|ed|ing)? off": "process",
    r"anew": "again",
    r"(?:is|are) none of": "is not one of",
    r"beside": "next to",
    r"(?<!\.)(?:told|tells?|telling)": "publish, notify, report, or say",
    r"hears?|heard|hearing": "consume, read, or receive",
    r"stands?(?! (?:by|ins?)\b|-)|stood(?! by\b)": "is",
    r"mend(?:s|ed|ing|able)?": "repair, fix, or retry",
    r"tak(?:es?|ing|en) (?:the )?stock|stock (?:was|is) taken": "reserve stock",
    r"the way back\.": "what is undone",
    r"put to work": "run",
    r"bid farewell|farewell": "close",
}
NAMES = {
    r"oms_notifications[./]inbox|OMS_INBOX_URL|oms-inbox|inbox_url": "mail catcher (inbox: the consumer's table)",
    r"Takings?|STOCK_TAKEN": "Allocation, is_allocated",
    r"Crew": "ThreadSupervisor",
    r"Wakes": "CommitSignals",
    r"(?<!asyncio\.)Runner": "Worker (and JobQueue, what it works on)",
    r"Admission|admit": "Backpressure; deduplicate",
    r"Parts": "Components",
    r"database\.read(?=\()": "database.execute(",
    r"bid_farewell|FAREWELL": "send_connection_close, CLOSE_GRACE",
    r"_MENDABLE": "RETRYABLE_STATUS",
    r"fails_first": "record_first_attempt",
    r"known_form": "parse_order_id",
    r"never_give_up|FOREVER": "max_attempts=None",
    r"(?<!oms_orders_)strays": "unknown_orders",
    r"_bury": "_dead_letter",
    r"reconciliation": "stuck_orders",
    r"FORGETFUL": "NO_FSYNC",
    r"TRUSTED|(?<!_)PATIENCE": "a name that says which time it is",
    r"BadLine": "FlakyGateway",
}
WORDS = {**PROSE, **NAMES}
TEXT = {".py", ".md", ".sh", ".yaml", ".yml", ".toml", ".tpl", ".txt", ".json", ""}
EXEMPT = {"LICENSE", "requirements.lock", "scripts/words.py", "tests/docs/test_words.py"}


@dataclass(frozen=True)
class Finding:
    """An occurrence of a word that must not be used."""

    path: str
    line: int
    found: str
    instead: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.found!r}: write {self.instead}"


def in_text(path: str, text: str) -> Iterator[Finding]:
    """Yield all of them in a file's text."""
    for number, line in enumerate(text.splitlines(), 1):
        for pattern, instead in _PATTERNS:
            yield from (Finding(path, number, match[0], instead) for match in pattern.finditer(line))


def in_files(paths: Iterable[Path]) -> Iterator[Finding]:
    """Yield all of them in these files, except in exempt and binary ones."""
    for path in paths:
        name = path.resolve().relative_to(ROOT).as_posix()
        if path.is_file() and path.suffix in TEXT and name not in EXEMPT:
            yield from in_text(name, path.read_text(encoding="utf-8"))


def chosen(paths: Sequence[Path], without: Sequence[Path]) -> list[Path]:
    """Return the given files, and those in the folders (by default, everywhere) that git knows or would add."""
    folders = [path for path in paths if path.is_dir()]
    files = [path for path in paths if path not in folders]
    return [*files, *(_tracked(folders, without) if folders or not files else ())]


def _tracked(folders: Sequence[Path], without: Sequence[Path]) -> list[Path]:
    places = [*map(str, folders or [ROOT]), *(f":(exclude){path}" for path in without)]
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate", "--", *places]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.splitlines()]


def main(arguments: list[str]) -> int:
    """Print the findings. Return the exit code: 1 if there are any, except with --report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", action="store_true", help="count, and do not fail")
    parser.add_argument("--but", action="append", default=[], type=Path, help="leave this file or folder out")
    parser.add_argument("paths", nargs="*", type=Path)
    options = parser.parse_args(arguments)
    found = list(in_files(chosen(options.paths, options.but)))
    if options.report:
        counts = Counter(finding.found.lower() for finding in found)
        print(
            f"{len(found)} words to replace: {', '.join(f'{word} {count}' for word, count in counts.most_common(12))}"
        )
        return 0
    print("\n".join(map(str, found)) or "no word to replace")
    return 1 if found else 0


def _pattern(word: str) -> re.Pattern[str]:
    # Also within a name (`_Runner`, `oms-inbox.yaml`, `test_it_is_told`), but not in the middle of a word.
    expression = f"(?<![A-Za-z])(?:{word})(?![A-Za-z])"
    return re.compile(expression) if word in NAMES else re.compile(expression.replace(" ", "[ _]"), re.IGNORECASE)


_PATTERNS = [(_pattern(word), instead) for word, instead in WORDS.items()]

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
