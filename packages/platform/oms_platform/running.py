"""What `oms up` leaves for every other `oms` on this machine: a lock, and a file that lists its programs."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from oms_platform import lock
from oms_platform.services import HttpServer, answers_ok
from oms_servers import ports
from oms_servers.errors import LocalError, NotReady
from oms_servers.server import Server

DOWN_SECONDS = 60.0


class NotRunning(LocalError):
    """A command needs the platform, which is not up."""


def home() -> Path:
    """Return the folder for data and logs of `oms up`: OMS_HOME, or .oms in the working directory."""
    return Path(os.environ.get("OMS_HOME", ".oms")).absolute()


@dataclass(frozen=True)
class Part:
    """One program of a platform as other processes see it. `ready` is the path on `health` of its readiness, if any."""

    name: str
    pid: int | None
    port: int
    health: int
    ready: str
    log: str
    stopped: bool = False
    waiting: bool = False

    def state(self) -> str:
        if self.stopped:
            return "stopped"
        if self.waiting:
            return "waiting"
        if self.pid is None or not _exists(self.pid):
            return "dead"
        answers = answers_ok(self.health, self.ready) if self.ready else ports.answers(self.health)
        return "ready" if answers else "starting"


def part(server: Server) -> Part:
    """Return a server as other processes see it."""
    health, ready = server.ready if isinstance(server, HttpServer) else (server.listens[0], "")
    state = server.state
    return Part(
        server.name, server.pid, server.listens[0], health, ready, str(server.log),
        stopped=state == "stopped", waiting=state == "waiting",
    )  # fmt: skip


class Running:
    """The platform of one folder."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._lock, self._file = home / "up.lock", home / "up.json"
        self._written = ""

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock during a block. Raises LocalError if another process has it."""
        self._home.mkdir(parents=True, exist_ok=True)
        with self._lock.open("a") as file:
            if not lock.take(file):
                raise _already()
            try:
                yield
            finally:
                self._file.unlink(missing_ok=True)

    def publish(self, servers: Sequence[Server], *, ready: bool) -> None:
        """Write down what runs, if that has changed."""
        known = {"pid": os.getpid(), "ready": ready, "parts": [asdict(part(server)) for server in servers]}
        text = json.dumps(known, indent=2)
        if text == self._written:
            return
        fresh = self._file.with_suffix(".new")
        fresh.write_text(text)
        fresh.rename(self._file)
        self._written = text

    def is_up(self) -> bool:
        """Whether some process holds the lock."""
        try:
            with self._lock.open() as file:
                return lock.is_taken(file)
        except FileNotFoundError:
            return False

    def refuse_another(self) -> None:
        """Raise LocalError if the platform is up."""
        if self.is_up():
            raise _already()

    def is_ready(self, of: int | None = None) -> bool:
        """Whether the platform is up (if `of` is given, started by this process id), and was ready once."""
        known = self._known()
        return (of is None or known.get("pid") == of) and bool(known.get("ready")) and self.is_up()

    def parts(self) -> list[Part]:
        """Return the running parts. Raises NotRunning if there are none."""
        if not self.is_up():
            raise NotRunning("OMS is not up", "`make up` starts it")
        return [Part(**known) for known in self._known().get("parts", [])]

    def await_ready(self, name: str, seconds: float) -> None:
        """Wait until a part answers. Raises NotReady if that takes longer than `seconds`."""
        deadline = time.monotonic() + seconds
        while self.find(name).state() != "ready":
            if time.monotonic() > deadline:
                raise NotReady(f"{name} is not ready after {seconds:.0f} seconds", f"`oms logs {name}` says why")
            time.sleep(0.1)

    def find(self, name: str) -> Part:
        """Return the part of this name. Raises LocalError if there is none."""
        parts = {part.name: part for part in self.parts()}
        if name not in parts:
            raise LocalError(f"There is no program {name}", f"There are: {', '.join(parts)}")
        return parts[name]

    def end(self) -> None:
        """Ask the process that holds the lock to stop everything, and wait for it."""
        self.parts()
        with contextlib.suppress(KeyError, ProcessLookupError):
            os.kill(self._known()["pid"], signal.SIGTERM)
        deadline = time.monotonic() + DOWN_SECONDS
        while self.is_up():
            if time.monotonic() > deadline:
                raise LocalError(f"OMS still runs after {DOWN_SECONDS:.0f} seconds", "Look into the logs in .oms/logs")
            time.sleep(0.1)

    def _known(self) -> dict[str, Any]:
        try:
            known: dict[str, Any] = json.loads(self._file.read_text())
        except FileNotFoundError:
            return {}
        return known


def _already() -> LocalError:
    return LocalError("OMS is up already in this folder", "`oms status` shows it, `oms down` ends it")


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
