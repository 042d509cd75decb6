"""`oms up`: start the platform, keep it running, end it."""

import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import FrameType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.text import Text

from oms_cli import show
from oms_contracts.topics import SERVICES
from oms_platform.addresses import Addresses
from oms_platform.control import Control
from oms_platform.platform import Platform
from oms_platform.running import Running
from oms_platform.supervisor import Backoff, Supervisor
from oms_servers import folders, jars
from oms_servers.errors import DiskFull, LocalError, NotReady, reporting_full_disk

ROOM = 500 << 20  # bytes that a first start needs, downloads included
DETACHED_SECONDS = 300.0
LOOK_SECONDS = 0.2  # between looks at what runs


class Up:
    """One run of a platform in the foreground."""

    def __init__(self, home: Path, console: Console, *, restart: bool, auth: str) -> None:
        self._console, self._running = console, Running(home)
        self._platform = Platform(home, Addresses.local(), environment={name: {"OMS_AUTH": auth} for name in SERVICES})
        self._home, self._restart = home, restart
        self._ending = threading.Event()
        self._reported: dict[str, str] = {}

    def run(self, when_ready: Callable[[], None]) -> None:
        """Start, call `when_ready`, and stay until Ctrl-C or SIGTERM; stop everything in any case."""
        check_room(self._home)
        signal.signal(signal.SIGTERM, _interrupt)
        with reporting_full_disk("OMS's own files"), self._running.alone():
            try:
                self._running.publish(self._platform.servers, ready=False)  # from now on, `oms down` ends it
                self._start()
                with self._supervised() as supervision:
                    when_ready()
                    self._console.print("[dim]Ctrl-C stops OMS; its data stays (oms reset removes it)[/]")
                    supervision.result()
            except KeyboardInterrupt:
                self._console.print("stopping: the services finish what they have begun …")
            finally:
                self._stop()

    def _start(self) -> None:
        began = time.monotonic()
        self._fetch()
        with ThreadPoolExecutor(1, "platform") as pool:
            starting = pool.submit(self._platform.start)
            try:
                self._follow(starting)
            except KeyboardInterrupt:
                self._platform.abandon()
                raise
            starting.result()
        self._running.publish(self._platform.servers, ready=True)
        self._console.print(f"[green]ready[/] after {time.monotonic() - began:.1f} s: {self._platform.url}/order")

    def _fetch(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task("Kafka", visible=False)
            jars.jars(lambda came, total: progress.update(task, completed=came, total=total, visible=True))

    def _follow(self, starting: "Future[None]") -> None:
        with Live(console=self._console, refresh_per_second=10, transient=True) as live:
            while not starting.done():
                self._show(live)
                time.sleep(0.1)
            self._show(live)

    def _show(self, live: Live) -> None:
        self._running.publish(self._platform.servers, ready=False)
        if self._console.is_terminal:
            live.update(self._table())
            return
        for server in self._platform.servers:
            if server.state != self._reported.get(server.name, "waiting"):
                self._reported[server.name] = server.state
                self._console.print(f"{server.name}: {server.state}")

    def _table(self) -> RenderableType:
        parts = ((one.name, one.state, f"127.0.0.1:{one.listens[0]}") for one in self._platform.servers)
        return Group("starting OMS", show.states(parts))

    @contextmanager
    def _supervised(self) -> Iterator["Future[None]"]:
        with ThreadPoolExecutor(1, "supervisor") as pool:
            try:
                yield pool.submit(self._supervise)
            finally:
                self._ending.set()

    def _supervise(self) -> None:
        supervisor = Supervisor(self._platform.servers, Backoff() if self._restart else None, self._say)

        def act(action: str, name: str) -> str:
            done = supervisor.act(action, name)
            self._running.publish(self._platform.servers, ready=True)
            return done

        with Control(self._home) as control:
            while not self._ending.is_set():
                control.serve(act, LOOK_SECONDS)
                supervisor.look()
                self._running.publish(self._platform.servers, ready=True)

    def _say(self, sentence: str) -> None:
        self._console.print(Text(f"{datetime.now().astimezone():%H:%M:%S} {sentence}", "yellow"), soft_wrap=True)

    def _stop(self) -> None:
        # A second Ctrl-C means: at once.
        try:
            self._platform.stop()
        except KeyboardInterrupt:
            self._platform.kill()
        self._console.print("stopped")


def detached(home: Path, console: Console, *, restart: bool, auth: str) -> None:
    """Start `oms up` as a separate process, and wait until it is ready. Raises LocalError if one is up already, because
    it may have been started with other options."""
    running = Running(home)
    running.refuse_another()
    log = home / "logs" / "up.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "oms_cli", "up", "--no-sample", "--restart" if restart else "--no-restart"]
    command += ["--auth", auth]
    with log.open("wb") as out:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
    deadline = time.monotonic() + DETACHED_SECONDS
    with console.status("starting OMS"):
        while not running.is_ready(child.pid):
            if child.poll() is not None:
                raise LocalError(f"OMS did not start:\n{log.read_text()}")
            if time.monotonic() > deadline:
                raise NotReady(
                    f"OMS is not ready after {DETACHED_SECONDS:.0f} seconds, and goes on starting",
                    f"`oms status` shows how far it is, `oms down` ends it. Its log: {log}",
                )
            time.sleep(0.2)
    console.print("ready; `oms down` ends it")


def check_room(home: Path) -> None:
    """Raise DiskFull if there is not enough room for a first start."""
    for folder in (folders.caches(), _nearest(home)):
        free = shutil.disk_usage(folder).free
        if free < ROOM:
            raise DiskFull(f"Only {free >> 20} MB are free on the disk of {folder}", f"OMS needs {ROOM >> 20} MB")


def _nearest(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.exists())


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
