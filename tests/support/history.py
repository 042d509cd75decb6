"""What the project was at an earlier commit."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def obstacle(commit: str) -> str | None:
    """Why its files cannot be had, if so."""
    command = ["git", "cat-file", "-e", f"{commit}^{{commit}}"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    return f"no {commit} in this clone: git fetch --unshallow" if found.returncode else None


def unpack(commit: str, folder: Path, *paths: str) -> None:
    """Put its files, or those under these paths, into a folder that is there."""
    command = ["git", "archive", commit, *paths]
    archive = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    subprocess.run(["tar", "--extract"], cwd=folder, input=archive.stdout, check=True)
