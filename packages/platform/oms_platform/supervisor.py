"""Keeps a platform's programs running, as Kubernetes would: a program that dies is restarted after a growing pause."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from oms_servers.errors import LocalError
from oms_servers.server import Server

ACTIONS = ("kill", "stop", "start", "restart")


@dataclass(frozen=True)
class Backoff:
    """The pauses in seconds before a program that died is started again: each is twice as long as the one before."""

    first: float = 1.0
    longest: float = 10.0
    steady: float = 30.0  # after a run of this length, the next pause is the first one again

    def after(self, ran: float, previous: float | None) -> float:
        """Return the pause after a run of `ran` seconds, which followed the `previous` pause."""
        if previous is None or ran > self.steady:
            return self.first
        return min(previous * 2, self.longest)


@dataclass
class _Watched:
    """A program as the supervisor knows it."""

    server: Server
    started_at: float
    state: str = "ready"
    pause: float | None = None  # the last one
    due: float | None = None  # when it is to be started again

    def schedule(self, backoff: Backoff) -> None:
        """Set when to start it again."""
        now = time.monotonic()
        self.pause = backoff.after(now - self.started_at, self.pause)
        self.due = now + self.pause


class Supervisor:
    """Watches programs that have been started. One thread calls it; `say` shows a person what it does.

    Without `backoff`, only `start` starts a program that died.
    """

    def __init__(self, servers: Sequence[Server], backoff: Backoff | None, say: Callable[[str], None]) -> None:
        now = time.monotonic()
        self._watched = {server.name: _Watched(server, now) for server in servers}
        self._backoff, self._say = backoff, say

    def look(self) -> None:
        """Notice what has changed since the last look, and start what is due."""
        for one in self._watched.values():
            before, one.state = one.state, one.server.look()
            if one.state == "dead" and before != "dead":
                self._ended(one)
            elif one.state == "ready" and before != "ready":
                self._say(f"{one.server.name} is ready")
            if one.due is not None and time.monotonic() >= one.due:
                self._start_again(one)

    def act(self, action: str, name: str) -> str:
        """Kill, stop, start or restart a program. Return a sentence that says what was done."""
        if action not in ACTIONS or name not in self._watched:
            raise LocalError(f"OMS cannot {action} {name}", f"There are: {', '.join(self._watched)}")
        return str(getattr(self, action)(name))

    def kill(self, name: str) -> str:
        """End a program as a crash would, and treat it as one."""
        server = self._watched[name].server
        if server.process is None or not server.is_alive():
            raise LocalError(f"{name} does not run", f"`oms start {name}` starts it")
        server.process.kill()
        server.process.wait(10)
        self.look()
        return f"killed {name}; {self._prospect(self._watched[name])}"

    def stop(self, name: str) -> str:
        """End a program in its own orderly way. It stays down until it is started."""
        self._stop(self._watched[name])
        return self._said(f"stopped {name}; {self._prospect(self._watched[name])}")

    def start(self, name: str) -> str:
        """Start a program, even during its pause."""
        one = self._watched[name]
        if one.server.is_alive():
            return f"{name} runs already"
        self._start(one)
        return self._said(f"started {name}")

    def restart(self, name: str) -> str:
        """Stop and start a program."""
        self._stop(self._watched[name])
        self._start(self._watched[name])
        return self._said(f"restarted {name}")

    def _ended(self, one: _Watched) -> None:
        self._schedule(one, one.server.death().message.rstrip())

    def _start_again(self, one: _Watched) -> None:
        try:
            self._start(one)
        except LocalError as error:
            self._schedule(one, str(error))

    def _schedule(self, one: _Watched, why: str) -> None:
        if self._backoff:
            one.schedule(self._backoff)
        self._say(why + ("\n" if "\n" in why else "; ") + self._prospect(one))

    def _prospect(self, one: _Watched) -> str:
        if one.due is None:
            return f"`oms start {one.server.name}` starts it again"
        return f"it is started again in {max(one.due - time.monotonic(), 0):.0f} s"

    def _said(self, sentence: str) -> str:
        self._say(sentence)
        return sentence

    def _stop(self, one: _Watched) -> None:
        one.due = one.pause = None
        one.server.stop()
        one.state = one.server.state

    def _start(self, one: _Watched) -> None:
        one.due = None
        one.server.start()
        one.started_at, one.state = time.monotonic(), "starting"
