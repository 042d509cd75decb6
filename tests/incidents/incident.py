"""An incident under load: what it does to those who wait for answers, how long it takes to recover, what is left."""

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from uuid import uuid4

import httpx
import psycopg
from invariants import Answer, Expected, Sources, check_when_quiet
from invariants.reading import count_copies, count_dead_letters
from support.chassis import eventually
from support.deployment import Deployment
from support.load import Outcome
from support.orders import body
from support.proxied import ProxiedPlatform
from support.traffic import Traffic

from incidents import record
from incidents.bounds import ANSWERED, RECOVERED, SETTLED
from incidents.record import Measured

WARM_UP = 4  # accepted orders before the fault begins
_EARLIER = """
SELECT count(*) FROM orders WHERE status NOT IN ('CONFIRMED', 'CANCELLED') AND placed_at <= %s
"""


class Incident:
    """Orders, a fault in the middle of them, its end, and what all of it came to."""

    def __init__(self, proxied: ProxiedPlatform) -> None:
        self._platform = proxied.platform
        self._sources: Sources = Deployment.of(proxied.platform).sources()  # type: ignore[assignment] # all is here
        assert self._sources.mailcatcher is not None
        assert self._sources.kafka is not None
        self._earlier = [Answer(None, str(order_id)) for (order_id,) in self._rows("SELECT id::text FROM orders")]
        self._letters = count_dead_letters(self._sources.kafka)
        self._copies = count_copies(self._sources.mailcatcher)
        self._probe, self._probe_key = body(("Item1", 1)), uuid4().hex

    def run(
        self,
        fault: str,
        block: AbstractContextManager[None],
        seconds: float,
        letters: Mapping[str, int] | None = None,
        copies: int = 0,
    ) -> None:
        """Let a fault last so long; AssertionError if an answer, the recovery or an invariant is not as it has to be.

        `letters` are the dead letters that it makes, `copies` the emails that may come twice for it.
        """
        with Traffic(self._platform.url) as traffic:
            traffic.await_accepted(WARM_UP)
            began = time.monotonic()
            with block:
                time.sleep(max(0.0, began + seconds - time.monotonic()))
            lasted = time.monotonic() - began
            recovered = self._recovery()
            outcome = traffic.stop()
        expected = self._expected(outcome, letters or {}, copies)
        broken = [str(one) for one in check_when_quiet(self._sources, expected=expected, within=SETTLED)]
        measured = _measured(fault, lasted, recovered, outcome, broken)
        record.write(measured)
        assert not broken, "\n".join(broken[:20])
        assert measured.answered <= ANSWERED, measured
        assert measured.recovered <= RECOVERED, measured

    def _recovery(self) -> float:
        """Seconds from now until a new order is CONFIRMED and all that were placed before have ended."""
        began, now = time.monotonic(), datetime.now(UTC)
        with httpx.Client(base_url=self._platform.url, timeout=30.0) as client:
            eventually(lambda: self._is_confirmed(client), within=2 * RECOVERED)
        eventually(lambda: self._rows(_EARLIER, now) == [(0,)], within=2 * RECOVERED)
        return time.monotonic() - began

    def _is_confirmed(self, client: httpx.Client) -> bool:
        """Whether an order that is placed now is soon CONFIRMED."""
        order_id = self._place(client)
        if order_id is None:
            return False
        self._earlier.append(Answer(None, order_id))
        confirmed = "SELECT count(*) FROM orders WHERE id::text = %s AND status = 'CONFIRMED'"
        return eventually(lambda: self._rows(confirmed, order_id) == [(1,)], within=2 * RECOVERED)

    def _place(self, client: httpx.Client) -> str | None:
        # With a key: one whose outcome is unknown is asked for again, and comes to the same order.
        try:
            response = client.post("/order", json=self._probe, headers={"Idempotency-Key": self._probe_key})
        except httpx.TransportError:
            return None
        return str(response.json()["id"]) if response.status_code == 202 else None

    def _expected(self, outcome: Outcome, letters: Mapping[str, int], copies: int) -> Expected:
        return Expected(
            answers=[*self._earlier, *outcome.answers],
            unanswered=outcome.unanswered,
            dead_letters={name: count + letters.get(name, 0) for name, count in self._letters.items()},
            copies=self._copies + copies,
        )

    def _rows(self, sql: str, *parameters: object) -> list[tuple[object, ...]]:
        # In a read-only transaction, so that a server that takes no writes answers, too.
        with psycopg.connect(self._sources.databases["order"]) as connection:
            return connection.execute(sql.encode(), parameters).fetchall()


def _measured(fault: str, lasted: float, recovered: float, outcome: Outcome, broken: list[str]) -> Measured:
    return Measured(
        fault=fault,
        lasted=round(lasted, 1),
        answered=round(outcome.slowest, 1),
        recovered=round(recovered, 1),
        accepted=len(outcome.answers),
        refused=sum(outcome.refusals.values()),
        in_doubt=sum(client.in_doubt for client in outcome.unanswered),
        broken=sorted({one.partition(":")[0] for one in broken}),
    )
