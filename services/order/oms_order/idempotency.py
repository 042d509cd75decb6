"""Idempotency keys: a request that is repeated with the same key gets the answer of the first one.

The key is written by the statement that writes its order, so that one exists if and only if the other does, whatever
crashes. Between replicas, the table's primary key decides.
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
    """The key itself. Raises BadIdempotencyKey if it is not valid."""
    if not _SHAPE.match(key):
        raise BadIdempotencyKey((HEADER, "must be 1 to 200 printable ASCII characters without spaces"))
    if cardnumbers.found_in(key):
        raise BadIdempotencyKey((HEADER, cardnumbers.MESSAGE))
    return key


@dataclass(frozen=True)
class Answer:
    """What the caller gets. `replayed` says that an earlier request with the same key got it first."""

    order_id: str
    body: str
    replayed: bool = False

    def response(self) -> Response:
        """The answer as an HTTP response."""
        headers = {"Location": f"/order/{self.order_id}"} | ({"Idempotent-Replayed": "true"} if self.replayed else {})
        return Response(self.body, 202, headers, media_type="application/json")


@dataclass(frozen=True)
class Origin:
    """Who sends an order, and how a repetition of it is recognised."""

    caller: Caller
    key: str | None = None
    fingerprint: Fingerprint | None = None


class InFlight:
    """The keys whose first request this process is still working on."""

    def __init__(self) -> None:
        self._keys: set[tuple[str, str]] = set()

    @contextmanager
    def hold(self, scope: str, key: str) -> Iterator[None]:
        """Hold a key during a block. Raises IdempotencyKeyInUse if another request holds it."""
        if (scope, key) in self._keys:
            raise IdempotencyKeyInUse
        self._keys.add((scope, key))
        try:
            yield
        finally:
            self._keys.remove((scope, key))


def retention(days: float) -> Retention:
    """Keys are forgotten after this many days, and may then be used for another order."""
    return Retention("idempotency", "created_at", days * 86400)
