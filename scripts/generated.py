"""Writes a page that is generated from the code, or compares it with the code."""

import argparse
import sys
from pathlib import Path


def keep(module: str, description: str | None, page: Path, text: str) -> int:
    """Run `python -m MODULE [--check]`. Return the exit code: 1 if the page is not up to date (--check)."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page is not up to date")
    if not parser.parse_args().check:
        page.write_text(text, encoding="utf-8")
    elif not page.exists() or page.read_text(encoding="utf-8") != text:
        sys.stderr.write(f"docs/{page.name} is not up to date with the code: run `python -m {module}`\n")
        return 1
    return 0
