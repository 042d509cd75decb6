"""Idempotency keys: a request that is sent again with its key gets the answer of the first time.

The key's row is written by the statement that writes its order, so that one exists if and only if the other does,
whatever crashes, and its primary key decides between replicas.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.responses import Response

from oms_chassis.http import cardnumbers
from oms_chassis.http.identity.callers import Caller
from oms_chassis.retention import Retention
from oms_order.fingerprints import Fingerprint
from oms_order.problems import BadIdempotencyKey, IdempotencyKeyInUse

HEADER = "Idempotency-Key"
SCHEMA = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"}
_SHAPE = re.compile(r"^[\x21-\x7e]{1,200}$")


def check(key: str) -> str:
    """The key, if it is one. Raises BadIdempotencyKey."""
    if not _SHAPE.match(key):
        raise BadIdempotencyKey((HEADER, "must be 1 to 200 printable ASCII characters without spaces"))
    if cardnumbers.found_in(key):
        raise BadIdempotencyKey((HEADER, cardnumbers.MESSAGE))
    return key


@dataclass(frozen=True)
class Answer:
    """What the caller gets. `replayed` means: it is the answer to an earlier request with the same key."""

    order_id: str
    body: str
    replayed: bool = False

    def response(self) -> Response:
        """As it is sent."""
        headers = {"Location": f"/order/{self.order_id}"} | ({"Idempotent-Replayed": "true"} if self.replayed else {})
        return Response(self.body, 202, headers, media_type="application/json")


@dataclass(frozen=True)
class Origin:
    """Who sends an order, and by what a repetition of it is known."""

    caller: Caller
    key: str | None = None
    fingerprint: Fingerprint | None = None


class InFlight:
    """The keys whose first request this process is still working on."""

    def __init__(self) -> None:
        self._keys: set[tuple[str, str]] = set()

    @contextmanager
    def hold(self, scope: str, key: str) -> Iterator[None]:
        """Hold a key for a block. Raises IdempotencyKeyInUse if another request holds it."""
        if (scope, key) in self._keys:
            raise IdempotencyKeyInUse
        self._keys.add((scope, key))
        try:
            yield
        finally:
            self._keys.remove((scope, key))


def retention(days: float) -> Retention:
    """After so many days, a key may be used for another order."""
    return Retention("idempotency", "created_at", days * 86400)
