"""Pages that are written from the code, or compared with it."""

import argparse
import sys
from pathlib import Path


def keep(module: str, description: str | None, page: Path, text: str) -> int:
    """The exit code of `python -m MODULE [--check]`: 0, or 1 for a page that is not what the code does (--check)."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page is not up to date")
    if not parser.parse_args().check:
        page.write_text(text, encoding="utf-8")
    elif not page.exists() or page.read_text(encoding="utf-8") != text:
        sys.stderr.write(f"docs/{page.name} is not what the code does: `python -m {module}`\n")
        return 1
    return 0
