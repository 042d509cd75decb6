"""Idempotency keys: a request that is sent again with its key gets the answer of the first time.

The key's row is written by the statement that writes its order, so that one exists if and only if the other does,
whatever crashes, and its primary key decides between replicas.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from oms_chassis.http.problems import Problem
from oms_chassis.retention import Retention

ANONYMOUS = "anonymous"
HEADER = "Idempotency-Key"
_SHAPE = re.compile(r"^[\x21-\x7e]{1,200}$")


def check(key: str) -> str:
    """The key, if it is one. Raises Problem."""
    if not _SHAPE.match(key):
        errors = [{"field": HEADER, "message": "must be 1 to 200 printable ASCII characters without spaces"}]
        raise Problem(422, "bad-idempotency-key", "The Idempotency-Key cannot be used", errors=errors)
    return key


def required() -> Problem:
    """This service takes no order without a key."""
    errors = [{"field": HEADER, "message": "is required"}]
    return Problem(400, "idempotency-key-required", "An order needs an Idempotency-Key", errors=errors)


def reused() -> Problem:
    """The key stands for another body."""
    return Problem(422, "idempotency-key-reused", "This Idempotency-Key was used for another order")


class InFlight:
    """The keys whose first request this process is still working on."""

    def __init__(self) -> None:
        self._keys: set[tuple[str, str]] = set()

    @contextmanager
    def hold(self, scope: str, key: str) -> Iterator[None]:
        """Hold a key for a block; Problem 409 if another request holds it."""
        if (scope, key) in self._keys:
            title = "A request with this Idempotency-Key is still being worked on"
            raise Problem(409, "idempotency-key-in-use", title, headers={"Retry-After": "1"})
        self._keys.add((scope, key))
        try:
            yield
        finally:
            self._keys.remove((scope, key))


def retention(days: float) -> Retention:
    """After so many days, a key may stand for another order."""
    return Retention("idempotency", "created_at", days * 86400)
