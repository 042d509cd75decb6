"""Folders: caches that all servers of a user share, and places that the servers' account can reach."""

import fcntl
import hashlib
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import platformdirs

UNPRIVILEGED = ("postgres", "nobody", "daemon", "www-data")  # the first that exists runs Postgres when we are root


def caches() -> Path:
    """Return the folder of downloads, Kafka's classes and the Postgres template. It is made again when needed."""
    folder = Path(platformdirs.user_cache_dir("oms"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def only_one(name: str) -> Iterator[None]:
    """Keep other processes of this user out while a shared cache is being filled."""
    with (caches() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@cache
def unprivileged() -> tuple[int, int] | None:
    """Return the account for programs that refuse to run as root; None if we are not root and need no other."""
    if os.geteuid() != 0:
        return None
    accounts = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = next((accounts[name] for name in UNPRIVILEGED if name in accounts), None)
    return (entry.pw_uid, entry.pw_gid) if entry else (65534, 65534)


def run_as(account: tuple[int, int] | None) -> dict[str, Any]:
    """Return the arguments of subprocess that run a program as this user and in this group only; none for our own."""
    return {"user": account[0], "group": account[1], "extra_groups": []} if account else {}


def reachable(folder: Path) -> bool:
    """Whether every user may enter all the folders above (and this one, if it exists)."""
    chain = [folder, *folder.parents]
    return all(place.stat().st_mode & 0o001 for place in chain if place.exists())


def within_reach(folder: Path, kind: str) -> Path:
    """Return the folder itself, or a substitute under /var if the unprivileged account cannot reach it.

    Root's own folders are closed to everybody else, Postgres included.
    """
    if unprivileged() is None or reachable(folder.parent):
        return folder
    return Path("/var") / kind / "oms" / hashlib.sha256(str(folder.parent).encode()).hexdigest()[:12] / folder.name


def give_away(folder: Path) -> None:
    """Change the owner of a whole folder to the unprivileged account, if there is one."""
    account = unprivileged()
    if account is None:
        return
    os.chown(folder, *account)
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(os.path.join(place, name), *account, follow_symlinks=False)  # noqa: PTH118 - a thousand files
