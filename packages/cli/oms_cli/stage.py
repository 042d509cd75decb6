"""What the parts of `oms demo` share: they place orders, follow them, and check that they end as promised."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.text import Text

from oms_cli.admin import Acting, Admin
from oms_cli.client import Client, Json
from oms_cli.output import follow
from oms_platform.control import ask
from oms_platform.running import NotRunning, Running
from oms_servers.errors import LocalError

T = TypeVar("T")
ORDER_SECONDS = 60.0
# Kafka waits 10 s for a consumer that died; the lease of a charge that it had begun ends after 20 s.
RECOVERY_SECONDS = 150.0


class UnexpectedEnd(LocalError):
    """Something did not end as promised."""


class Stage:
    """The `oms up` of a folder, and a console that shows what happens on it."""

    def __init__(self, home: Path, console: Console) -> None:
        if not Running(home).is_ready():
            raise NotRunning(
                "OMS is not up, or not ready yet", "`make up` first, then `make demo` in a second terminal"
            )
        self.home, self._console = home, console
        self.client = Client.of_running(home)
        self.admin = Admin.of_running(home, Acting("demo", "a demonstration"))

    def title(self, title: str) -> None:
        """Begin a part."""
        self._console.print(Text(f"\n{title}", "bold"))

    def say(self, line: str) -> None:
        """Show what happens."""
        self._console.print(f"  {line}", highlight=False)

    def why(self, reason: str) -> None:
        """Explain what was seen."""
        self._console.print(Text(f"  Why: {reason}", "cyan"))

    def kill_payment(self) -> None:
        """Kill payment as a crash would, once it is ready."""
        Running(self.home).await_ready("payment", RECOVERY_SECONDS)
        self._console.print(f"  {ask(self.home, 'kill', 'payment')}")

    def place(self, body: Json) -> str:
        """Place an order that must be accepted, and return its id."""
        placed = self.client.place_patiently(body)
        self.say(f"POST /order: order {placed['id']} is {placed['status']}")
        return str(placed["id"])

    def await_end(self, order: str, status: str, reason: str | None, seconds: float = ORDER_SECONDS) -> None:
        """Follow an order to this end, and to its messages. Raises UnexpectedEnd."""
        self.expect([self.follow(order, seconds)], [(status, reason or "")])
        self.await_messages([order])

    def follow(self, order: str, seconds: float = ORDER_SECONDS) -> tuple[str, str]:
        """Show an order's timeline on the console, and return the status and the reason in which it ends."""
        with self._console.status("waiting for the order to end"):
            last = follow(self.client.events(order, seconds), as_json=False, console=self._console) or {}
        return last.get("status", ""), last.get("reason") or ""

    def expect(self, ends: list[tuple[str, str]], expected: list[tuple[str, str]]) -> None:
        """Raise UnexpectedEnd unless orders have ended as expected."""
        if ends != expected:
            message = f"Ended {_listed(ends)}; expected was {_listed(expected)}"
            raise UnexpectedEnd(message, "`oms logs SERVICE` may say why")

    def await_messages(self, orders: list[str], count: int = 2) -> None:
        """Wait until the customers of these orders have `count` messages, of both kinds. Raises UnexpectedEnd."""
        for order in orders:
            found = self.client.await_messages(order, count, seconds=ORDER_SECONDS)
            if len(found) < count or {message["kind"] for message in found} != {"email", "sms"}:
                raise UnexpectedEnd(f"The customer of {order} was not sent an email and a text", "See `oms messages`")
            self.say(f"the customer of {order} was sent an email and a text")

    def until(self, look: Callable[[], T], missing: str, advice: str, seconds: float = ORDER_SECONDS) -> T:
        """Return the result of `look` once there is one. Raises UnexpectedEnd if that takes too long."""
        deadline = time.monotonic() + seconds
        while not (found := look()):
            if time.monotonic() > deadline:
                raise UnexpectedEnd(missing, advice)
            time.sleep(0.1)
        return found


def _listed(ends: list[tuple[str, str]]) -> str:
    return ", ".join(f"{status} ({reason})" if reason else status for status, reason in ends)
