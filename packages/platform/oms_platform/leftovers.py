"""What a platform leaves in its folder, which may be one that has other things in it, too."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from oms_platform import control

# Of `oms up` and for the command line: what only exists for a moment, too, since a kill may have left it.
FILES = ("admin-token", "admin-token.new", "up.json", "up.new", "up.lock")


def remove(home: Path, servers: Mapping[Path, str], files: Iterable[Path]) -> Sequence[Path]:
    """Remove the folders of servers, each with the file by which it is known for one, and files; return what is kept
    of `data` and `logs`: nobody here has made it."""
    for folder, known_by in servers.items():
        _remove_server(folder, known_by)
        _remove_server(folder.with_name(f"{folder.name}.new"), known_by)  # a copy that was interrupted
    for file in (*files, *(home / name for name in FILES)):
        with suppress(OSError):
            file.unlink()
    control.remove(home)
    places = home / "data", home / "logs"
    for folder in (*{folder.parent for folder in servers}, *places, home):
        with suppress(OSError):  # it is not empty, or not there
            folder.rmdir()
    return sorted(one for place in places if place.is_dir() for one in place.iterdir())


def _remove_server(folder: Path, known_by: str) -> None:
    if folder.is_symlink() or not folder.is_dir():
        return
    if not (folder / known_by).is_file():
        with suppress(OSError):
            folder.rmdir()
        return
    for one in folder.iterdir():  # what it is known by goes last: a removal that is interrupted can be repeated
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
