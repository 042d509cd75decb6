"""Removes what a platform leaves in its folder, which may contain other things, too."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from oms_platform import control

# Files of `oms up` and of the command line, also temporary ones, which a kill may have left.
FILES = ("admin-token", "admin-token.new", "up.json", "up.new", "up.lock")


def remove(home: Path, servers: Mapping[Path, str], files: Iterable[Path]) -> Sequence[Path]:
    """Remove files, and the folders of servers, each recognised by a file in it. Return what remains of `data` and
    `logs`, because OMS did not make it."""
    for folder, known_by in servers.items():
        _remove_server(folder, known_by)
        _remove_server(folder.with_name(f"{folder.name}.new"), known_by)  # a copy that was interrupted
    for file in (*files, *(home / name for name in FILES)):
        with suppress(OSError):
            file.unlink()
    control.remove(home)
    places = home / "data", home / "logs"
    for folder in (*{folder.parent for folder in servers}, *places, home):
        with suppress(OSError):  # not empty, or missing
            folder.rmdir()
    return sorted(one for place in places if place.is_dir() for one in place.iterdir())


def _remove_server(folder: Path, known_by: str) -> None:
    if folder.is_symlink() or not folder.is_dir():
        return
    if not (folder / known_by).is_file():
        with suppress(OSError):
            folder.rmdir()
        return
    for one in folder.iterdir():  # the file that identifies it goes last, so that a removal can be repeated
        if one.name != known_by:
            _remove(one)
    with suppress(OSError):
        (folder / known_by).unlink()
        folder.rmdir()


def _remove(one: Path) -> None:
    if one.is_dir() and not one.is_symlink():
        shutil.rmtree(one, ignore_errors=True)
    else:
        with suppress(OSError):
            one.unlink()
