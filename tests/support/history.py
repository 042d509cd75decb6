"""Reads the project's files at an earlier commit."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def obstacle(commit: str) -> str | None:
    """Return why the files of a commit are unavailable, or None."""
    command = ["git", "cat-file", "-e", f"{commit}^{{commit}}"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    return f"no {commit} in this clone: git fetch --unshallow" if found.returncode else None


def unpack(commit: str, folder: Path, *paths: str) -> None:
    """Put a commit's files, or those under these paths, into an existing folder."""
    command = ["git", "archive", commit, *paths]
    archive = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    subprocess.run(["tar", "--extract"], cwd=folder, input=archive.stdout, check=True)
