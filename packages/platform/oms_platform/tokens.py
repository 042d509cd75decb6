"""The token of the admin API of a platform on this machine: a new one at each start, in a file that its user owns."""

import secrets
from pathlib import Path

NAME = "admin-token"


def new() -> str:
    """Return a new random token."""
    return secrets.token_urlsafe(32)


def keep(folder: Path, token: str) -> None:
    """Write the token to a file that only this user's commands can read."""
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f"{NAME}.new"
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text(token)
    fresh.rename(folder / NAME)


def kept(folder: Path) -> str:
    """Return the token of the platform in this folder; empty if there is none."""
    try:
        return (folder / NAME).read_text()
    except FileNotFoundError:
        return ""
