"""A program that this process starts, waits for, and ends."""

import contextlib
import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import psutil

from oms_servers import folders, guard, ports
from oms_servers.errors import LocalError, NotReady, PortTaken, ServerDied, reporting_full_disk

State = Literal["waiting", "starting", "ready", "stopped", "dead"]
LAST_WORDS = 12  # lines of a dead server's log that an error repeats


class Server(ABC):
    """One program with its log file. Subclasses say what to run and what ready means.

    `listens` are the ports that it needs; the first is the one that others use.
    """

    stop_signal = signal.SIGTERM
    stop_seconds = 25.0  # a service drains for up to 20
    ready_seconds = 60.0

    def __init__(self, name: str, log: Path, listens: tuple[int, ...] = ()) -> None:
        self.name = name
        self.log = log
        self.listens = listens
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        self._answered = self._ended = False

    @abstractmethod
    def command(self) -> list[str]:
        """The program and its arguments."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether the program answers, asked without waiting long."""

    def prepare(self) -> None:  # noqa: B027 - most servers need nothing
        """Prepare what the program needs before it can start."""

    def environment(self) -> Mapping[str, str]:
        """Variables that the program gets in addition to this process's own."""
        return {}

    def account(self) -> tuple[int, int] | None:
        """The user and group that the program runs as, when not this process's."""
        return None

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        return self._process

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self.is_alive() else None

    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def state(self) -> State:
        """The program's state, for people."""
        if self._process is None:
            return "stopped" if self._ended else "waiting"
        if not self.is_alive():
            return "dead"
        return "ready" if self._answered else "starting"

    def start(self) -> None:
        """Start the program and return at once; await_ready waits until it answers."""
        if self.is_alive():
            return
        self.check_ports()
        with reporting_full_disk(f"the files of {self.name}"):
            self.log.parent.mkdir(parents=True, exist_ok=True)
            self.prepare()
            self._spawn()

    def look(self) -> State:
        """Return the present state, after checking whether a starting program answers yet."""
        if self.state == "starting":
            self._answered = self.is_ready()
        return self.state

    def await_ready(self) -> None:
        """Wait until the program answers. Raises ServerDied or NotReady."""
        deadline = time.monotonic() + self.ready_seconds
        while not self.is_ready():
            if not self.is_alive():
                raise self.death()
            if time.monotonic() > deadline:
                raise NotReady(f"{self.name} does not answer", f"Its log: {self.log}")
            time.sleep(0.05)
        self._answered = True

    def stop(self) -> None:
        """End the program in its own orderly way, or by force if that takes too long."""
        self._end(self.stop_signal, self.stop_seconds)

    def kill(self) -> None:
        """End the program as a crash of its machine would: without a chance to do anything, children included."""
        children = self._children()
        self._end(signal.SIGKILL, 10.0)
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        psutil.wait_procs(children, timeout=5.0)

    def restart(self) -> None:
        """Stop, start, and wait until it answers."""
        self.stop()
        self.start()
        self.await_ready()

    def __enter__(self) -> Self:
        try:
            self.start()
            self.await_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def log_since_start(self) -> str:
        """What the program has written since it was last started."""
        with self.log.open(errors="replace") as log:
            log.seek(self._log_start)
            return log.read()

    def death(self) -> LocalError:
        """Return the error for a program that ended without being asked to."""
        code = self._process.returncode if self._process else 0
        if code < 0:
            return ServerDied(f"{self.name} was killed by {signal.Signals(-code).name}", f"Its log: {self.log}")
        words = self.log_since_start() if self.log.exists() else ""
        last = "\n".join(f"    {line}" for line in words.splitlines()[-LAST_WORDS:])
        return ServerDied(f"{self.name} ended with code {code}; its last words:\n{last}\n", f"Its log: {self.log}")

    def check_ports(self) -> None:
        """Raise PortTaken if another program listens on one of the ports that this one needs."""
        taken = next((port for port in self.listens if ports.is_taken(port)), None)
        if taken is not None:
            raise PortTaken(f"{self.name} needs port {taken}, which {ports.holder(taken)} has", "Stop that program")

    def _spawn(self) -> None:
        self._forget()
        self._answered = self._ended = False
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment()},
                cwd="/",
                start_new_session=True,  # Ctrl-C is for us: we end the servers in order
                **folders.run_as(self.account()),
            )
        guard.watch(self._process.pid)

    def _end(self, by: signal.Signals, seconds: float) -> None:
        process, self._ended = self._process, True
        if process is None:
            return
        process.send_signal(by)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._forget()

    def _forget(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            guard.forget(process.pid)

    def _children(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.pid).children(recursive=True) if self.pid else []
        except psutil.NoSuchProcess:
            return []
