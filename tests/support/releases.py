"""Runs the code of the previous release, in place of the current one or next to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from oms_contracts.topics import SERVICES
from oms_platform import services
from oms_platform.addresses import Addresses
from oms_platform.platform import Platform
from support import history
from support.programs import UNMEASURED

# There is no release yet: this commit lacks a migration of the inventory. Later, this is the tag of the last release.
BEFORE = "b30391f"


class Releases:
    """The release from which each service of a platform is started. `folder` gets the earlier release's code and, for
    each service, an entry of its path that leads there or nowhere."""

    def __init__(self, folder: Path) -> None:
        self._before, self._places = folder / "before", folder / "places"
        self._places.mkdir(parents=True)
        _unpack(self._before)

    @property
    def environment(self) -> dict[str, dict[str, str]]:
        """Return the environment of each service."""
        return {name: _path(self._places / name) for name in SERVICES}

    def install(self, name: str, *, before: bool) -> None:
        """Choose the release of a service at its next start: the previous one, or the current one."""
        place = self._places / name
        place.unlink(missing_ok=True)
        if before:
            place.symlink_to(self._before)

    @contextmanager
    def next_to(self, platform: Platform, name: str, *, before: bool) -> Iterator[None]:
        """Run another process of a service, of one of the releases."""
        log = platform.services[name].log.with_name(f"{name}-2.log")
        free = Addresses.free()
        at = replace(platform.at, http=free.http, internal=free.internal)
        extra = _path(self._before) if before else {}
        with services.service(name, at, log, platform.databases[name].url, extra={**UNMEASURED, **extra}):
            yield


def _path(folder: Path) -> dict[str, str]:
    return {"PYTHONPATH": str(folder)}


def _unpack(folder: Path) -> None:
    """Unpack every package of the earlier release, side by side."""
    sources = folder.with_name("sources")
    sources.mkdir()
    history.unpack(BEFORE, sources, "packages", "services")
    folder.mkdir()
    for package in sources.glob("*/*/oms_*"):
        (folder / package.name).symlink_to(package)
