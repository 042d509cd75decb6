"""A client for the HTTP interfaces of any OMS."""

import os
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import httpx2

from oms_cli import connections, unanswered
from oms_cli.answers import Refused, check, first, listed, pages, read
from oms_cli.headers import keyed, sendable
from oms_cli.paths import part
from oms_cli.portions import PAGE, Portion, cut
from oms_cli.timeline import Timeline
from oms_platform.addresses import Addresses
from oms_platform.running import Running

Json = dict[str, Any]
STREAM_SECONDS = 300.0  # how long an order's timeline is followed
MOVEMENTS = 1000  # the most movements of an item that the inventory shows
CATALOGUE_SECONDS = 20.0  # a new order service receives the catalogue by events, a moment after it is ready


class Client:
    """Orders, items and messages of the OMS at these URLs."""

    def __init__(self, order: str, inventory: str, mailcatcher: str) -> None:
        self.order, self.inventory, self.mailcatcher = order, inventory, mailcatcher
        credential = sendable("OMS_CREDENTIAL", os.environ.get("OMS_CREDENTIAL", "").strip())
        headers = {"Authorization": f"Bearer {credential}"} if credential else {}
        self._http, self._mails = connections.client(headers), connections.client({})  # mails: without the credential

    @classmethod
    def of_environment(cls) -> Self:
        """Use OMS_URL, OMS_INVENTORY_URL and OMS_MAILCATCHER_URL; by default, the addresses of `oms up`."""
        at, given = Addresses.local(), os.environ
        return cls(
            (given.get("OMS_URL") or _local(at.http["order"])).rstrip("/"),
            (given.get("OMS_INVENTORY_URL") or _local(at.http["inventory"])).rstrip("/"),
            (given.get("OMS_MAILCATCHER_URL") or _local(at.mailcatcher)).rstrip("/"),
        )

    @classmethod
    def of_running(cls, home: Path) -> Self:
        """Use the `oms up` in this folder, whatever the environment names."""
        return cls(*(_local(Running(home).find(name).port) for name in ("order", "inventory", "mailcatcher")))

    def place(self, body: Json, key: str | None = None) -> Json:
        """Place an order, and return its id and status."""
        return self._act(f"{self.order}/order", body, key)

    def place_patiently(self, body: Json) -> Json:
        """Place an order on a platform that has just started, and may not know its catalogue yet."""
        deadline, key = time.monotonic() + CATALOGUE_SECONDS, uuid4().hex
        while True:
            try:
                return self.place(body, key)
            except Refused as refused:
                is_early = refused.status == 503 or "item" in str(refused)  # items arrive one by one
                if not is_early or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def orders(self, limit: int = 20, **filters: str | None) -> Portion:
        """Return the newest `limit` orders, newest first."""
        params = {name: value for name, value in filters.items() if value is not None}
        page = self._answer("GET", f"{self.order}/order", params={**params, "limit": min(limit, PAGE)})
        return first(page, limit, lambda link: self._answer("GET", f"{self.order}{link}"))

    def shown(self, order: str) -> Json:
        """Return an order with its lines and timeline."""
        return self._ask("GET", f"{self.order}/order/{part(order)}")

    def cancel(self, order: str, reason: str | None = None, key: str | None = None) -> Json:
        """Cancel an order, and return it as it is then. Raises Refused if it is too late."""
        body = {"reason": reason} if reason else {}
        return self._act(f"{self.order}/order/{part(order)}/cancel", body, key)

    def refund(self, order: str, body: Json, key: str | None = None) -> Json:
        """Request a refund of a confirmed order, and return it. Raises Refused if less than that remains."""
        return self._act(f"{self.order}/order/{part(order)}/refund", body, key)

    def events(self, order: str, within: float = STREAM_SECONDS) -> Iterator[Json]:
        """Yield the order's timeline as it happens, up to its end. Raises TooSlow if that takes more than `within`.

        If a stream ends before, as when the service is drained, another one continues it."""
        return Timeline(self._http, self.order, f"/order/{part(order)}/events").follow(order, within)

    def item(self, item: str) -> Json:
        """Return an item with its stock."""
        return self._ask("GET", f"{self.inventory}/items/{part(item)}")

    def restock(self, item: str, quantity: int) -> None:
        """Add to an item's stock."""
        self._ask("POST", f"{self.inventory}/items/{part(item)}/restock", json={"quantity": quantity})

    def movements(self, item: str, limit: int = 100) -> Portion:
        """Return the last movements of an item, newest first. With MOVEMENTS of them, there may be more."""
        asked = min(limit + 1, MOVEMENTS)
        found = self._list("GET", f"{self.inventory}/items/{part(item)}/movements", params={"limit": asked})
        return cut(found, limit, goes_on=len(found) == limit == MOVEMENTS)

    def differences(self) -> list[Json]:
        """Return all items whose stock is not the sum of their movements."""
        return self._all(f"{self.inventory}/stock/differences")

    def items(self) -> list[Json]:
        """Return all items."""
        return self._all(f"{self.inventory}/items", limit=100)

    def messages(self, order: str | None = None, kind: str | None = None, limit: int = 100) -> Portion:
        """Return the last messages to customers, oldest of them first."""
        params = {name: value for name, value in (("orderId", order), ("kind", kind)) if value}
        found = self._list("GET", f"{self.mailcatcher}/messages", params={**params, "limit": limit + 1})
        return cut(found[-limit:], limit, goes_on=len(found) > limit)

    def failures(self) -> list[Json]:
        """Return the mail catcher's active failures."""
        return self._list("GET", f"{self.mailcatcher}/failures")

    def fail(self, failure: Json) -> list[Json]:
        """Turn a failure of the mail catcher on, and return all that are on."""
        return self._list("PUT", f"{self.mailcatcher}/failures", json=failure)

    def fail_no_more(self) -> list[Json]:
        """Clear the mail catcher's failures."""
        return self._list("DELETE", f"{self.mailcatcher}/failures")

    def await_messages(self, order: str, count: int = 2, seconds: float = 10.0) -> list[Json]:
        """Return the messages about an order, once there are `count` of them or `seconds` have passed."""
        deadline = time.monotonic() + seconds
        while len(found := self.messages(order)) < count and time.monotonic() < deadline:
            time.sleep(0.05)
        return found

    def _act(self, url: str, body: Json, key: str | None) -> Json:
        """Send a command with an idempotency key, a new one if none was given. If the answer is lost, it is shown."""
        key = key or uuid4().hex
        with unanswered.advising(f"Repeat the command with --key {key}: it is carried out once, and answered"):
            return self._ask("POST", url, json=body, headers=keyed(key))

    def _ask(self, method: str, url: str, **more: Any) -> Json:
        return read(self._answer(method, url, **more))

    def _list(self, method: str, url: str, **more: Any) -> list[Json]:
        return listed(self._answer(method, url, **more))

    def _all(self, url: str, **params: int) -> list[Json]:
        """Return a list of the inventory, from all of its pages."""
        first = self._answer("GET", url, params=params)
        return list(chain.from_iterable(pages(first, lambda link: self._answer("GET", f"{self.inventory}{link}"))))

    def _answer(self, method: str, url: str, **more: Any) -> httpx2.Response:
        http = self._mails if url.startswith(f"{self.mailcatcher}/") else self._http
        try:
            response = http.request(method, url, **more)
        except unanswered.FAILURES as error:
            where, only_looks = unanswered.unreachable(url), unanswered.looks(method)
            raise unanswered.of(error, url, where, only_looks=only_looks) from error
        return check(response)


def _local(port: int) -> str:
    return f"http://localhost:{port}"
