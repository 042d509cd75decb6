"""The token of the admin API of a platform on this machine: another one at each start, in a file of its user's own."""

import secrets
from pathlib import Path

NAME = "admin-token"


def new() -> str:
    """A token that nobody knows."""
    return secrets.token_urlsafe(32)


def keep(folder: Path, token: str) -> None:
    """Write it where this user's other commands find it, and nobody else's."""
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f"{NAME}.new"
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text(token)
    fresh.rename(folder / NAME)


def kept(folder: Path) -> str:
    """The token of the platform in this folder; empty if there is none."""
    try:
        return (folder / NAME).read_text()
    except FileNotFoundError:
        return ""
