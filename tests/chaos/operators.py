"""Operators who act meanwhile, through the admin API as `oms` does: they redrive dead letters, and repeat failed
refunds. Every answer is recorded, and judged at once."""

import threading
from collections import Counter
from types import TracebackType
from typing import Self

from support.proxied import ProxiedPlatform

from oms_cli.admin import Acting, Admin
from oms_cli.answers import Refused
from oms_contracts.topics import SERVICES
from oms_servers.errors import LocalError

LOOKS_EVERY = 1.0  # seconds
AT_A_LOOK = 100  # letters of a service, or payments, per look
REFUSED = "CheckViolation"  # the error of events that a table temporarily refuses
_LETTERS, _PAYMENTS = "/admin/dead-letters", "/admin/payments"
_CAME_TO_NOTHING = {"state": "REFUNDING", "reason": "refund-failed"}


def admin_of(proxied: ProxiedPlatform, name: str) -> Admin:
    """Return the admin APIs of a platform, for an operator of this name."""
    platform = proxied.platform
    urls = {service: f"http://127.0.0.1:{platform.at.internal[service]}" for service in SERVICES}
    return Admin(urls, platform.admin_token, Acting(name, "chaos"))


class Operators:
    """An operator who looks at all services repeatedly during a block.

    `redriven` are the letters whose redrive was answered, `wrong` the answers that nobody should ever get.
    """

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="operators", daemon=True)
        self._hopeless: set[tuple[str, int]] = set()
        self.redriven: Counter[tuple[str, int]] = Counter()
        self.made_again = 0
        self.wrong: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(LOOKS_EVERY):
            for service in SERVICES:
                self._redrive(service)
            self._refund_again()

    def _redrive(self, service: str) -> None:
        """Redrive everything that a table refused, and one record per topic, once, that is not an event."""
        try:
            letters = self._admin.pages(service, _LETTERS, AT_A_LOOK, state="dead", error=REFUSED)
            others = self._admin.pages(service, _LETTERS, AT_A_LOOK, state="dead")
            for letter in reversed(list(letters)):  # the newest first: it has to wait for its turn
                self._redrive_twice(service, int(letter["id"]))
            for letter in {one["topic"]: one for one in others if one["error"] != REFUSED}.values():
                self._redrive_in_vain(service, int(letter["id"]))
        except LocalError:
            return  # it does not answer at the moment

    def _redrive_twice(self, service: str, letter: int) -> None:
        """Redrive as by a double click: the second is refused if the first was not, even if an answer is lost."""
        path = f"{_LETTERS}/{letter}/redrive"
        for _ in range(2):
            try:
                self._admin.act(service, path)
            except Refused as refused:
                if refused.status not in {409, 422, 503}:
                    self.wrong.append(f"the redrive of {service} {letter} was answered by {refused}")
                continue
            self.redriven[service, letter] += 1
        if self.redriven[service, letter] > 1:
            self.wrong.append(f"letter {letter} of {service} was redriven twice")

    def _redrive_in_vain(self, service: str, letter: int) -> None:
        if (service, letter) in self._hopeless:
            return
        try:
            self._admin.act(service, f"{_LETTERS}/{letter}/redrive")
        except Refused as refused:
            if refused.status < 500:
                self._hopeless.add((service, letter))
            return
        self.wrong.append(f"letter {letter} of {service} was redriven, so it need not have been one")

    def _refund_again(self) -> None:
        """Request the refunds of cancelled orders again that the gateway accepted but did not make."""
        try:
            for payment in self._admin.pages("payment", _PAYMENTS, AT_A_LOOK, **_CAME_TO_NOTHING):
                self._admin.act("payment", f"{_PAYMENTS}/{payment['orderId']}/resolve", how="ask")
                self.made_again += 1
        except LocalError:
            return  # it does not answer at the moment, or the payment has been settled meanwhile
