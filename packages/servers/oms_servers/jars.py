"""Kafka's jars: fetched once per user, each checked against kafka.lock."""

import hashlib
import os
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import httpx2

from oms_servers import folders
from oms_servers.errors import DownloadFailed, reporting_full_disk

ATTEMPTS = 4
PAUSE = 1.0  # seconds before the second attempt, twice as many before the third, and so on
Watchdog = Callable[[int, int], None]  # bytes that were received, bytes in all


@dataclass(frozen=True)
class Jar:
    """One line of the lock file."""

    sha256: str
    size: int
    path: str

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


class _Abandoned(Exception):
    """Nobody waits for a download any more."""


def locked() -> list[Jar]:
    """Return the jars in kafka.lock."""
    lines = resources.files("oms_servers").joinpath("kafka.lock").read_text().splitlines()
    fields = [line.split() for line in lines if not line.startswith("#")]
    return [Jar(sha256, int(size), path) for sha256, size, path in fields]


def jars(progress: Watchdog = lambda _came, _all: None) -> Path:
    """Return the folder with Kafka's jars, after downloading the missing ones."""
    folder = folders.caches() / "kafka"
    if _missing(folder):
        with folders.only_one("kafka"):
            _fetch_all(_missing(folder), folder, progress)
    return folder


def _missing(folder: Path) -> list[Jar]:
    return [jar for jar in locked() if not _is_there(folder / jar.name, jar)]


def _is_there(file: Path, jar: Jar) -> bool:
    return file.exists() and file.stat().st_size == jar.size


def _fetch_all(missing: list[Jar], folder: Path, progress: Watchdog) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lock, came, total = threading.Lock(), 0, sum(jar.size for jar in missing)
    has_ended = threading.Event()

    def count(size: int) -> None:
        nonlocal came
        if size > 0 and has_ended.is_set():
            raise _Abandoned
        with lock:
            came += size
            progress(came, total)

    with httpx2.Client(timeout=30.0, follow_redirects=True) as client, ThreadPoolExecutor(4, "download") as pool:
        try:
            for _ in pool.map(lambda jar: _fetch(client, jar, folder, count), missing):
                pass
        finally:  # after Ctrl-C or a failure, the other downloads need not finish
            has_ended.set()


def _fetch(client: httpx2.Client, jar: Jar, folder: Path, count: Callable[[int], None]) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _try(client, jar, folder, count)
        except (httpx2.HTTPError, DownloadFailed) as error:
            if attempt == ATTEMPTS:
                raise _broken(jar, error) from error
            time.sleep(PAUSE * attempt)
    return None


def _try(client: httpx2.Client, jar: Jar, folder: Path, count: Callable[[int], None]) -> None:
    part, digest = folder / f"{jar.name}.part", hashlib.sha256()
    came = 0
    try:
        with (
            reporting_full_disk(str(part)),
            part.open("wb") as file,
            client.stream("GET", f"{repository()}/{jar.path}") as response,
        ):
            response.raise_for_status()
            for piece in response.iter_bytes(1 << 16):
                file.write(piece)
                digest.update(piece)
                came += len(piece)
                count(len(piece))
        _check(jar, digest.hexdigest())
    except BaseException:
        count(-came)
        part.unlink(missing_ok=True)
        raise
    shutil.move(part, folder / jar.name)


def _check(jar: Jar, digest: str) -> None:
    if digest != jar.sha256:
        raise DownloadFailed(f"{jar.name} is not the file that kafka.lock names")


def _broken(jar: Jar, error: Exception) -> DownloadFailed:
    advice = "Check the network (HTTPS_PROXY is honoured; OMS_MAVEN_URL names a mirror of Maven Central) and try again"
    return DownloadFailed(f"{_reason(jar, error)}, after {ATTEMPTS} attempts", advice)


def _reason(jar: Jar, error: Exception) -> str:
    if isinstance(error, DownloadFailed):
        return error.message
    cause = f"HTTP {error.response.status_code}" if isinstance(error, httpx2.HTTPStatusError) else str(error)
    return f"{jar.name} could not be fetched ({cause})"


def repository() -> str:
    """Return the address of the jars: Maven Central, or the mirror that OMS_MAVEN_URL names."""
    named = os.environ.get("OMS_MAVEN_URL")
    if named:
        return named.rstrip("/")
    from jgo.constants import MAVEN_CENTRAL_URL  # imported here: it loads a lot, and is needed once per machine

    return str(MAVEN_CENTRAL_URL)
