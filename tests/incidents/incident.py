"""An incident under load: the answers that clients get, how long the recovery takes, and the state in the end."""

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager

from invariants import Answer, Expected, Sources, check_when_quiet
from invariants.reading import count_copies, count_dead_letters
from support.deployment import Deployment
from support.load import Outcome
from support.traffic import Traffic

from incidents import record
from incidents.bounds import ANSWERED, RECOVERED, SETTLED
from incidents.probe import Probe
from incidents.record import Measured
from oms_platform.platform import Platform

WARM_UP = 4  # accepted orders before the fault begins


class Incident:
    """Orders with a fault in the middle of them, and the result."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._sources: Sources = Deployment.of(platform).sources()  # type: ignore[assignment] # all is here
        assert self._sources.mailcatcher is not None
        assert self._sources.kafka is not None
        self._probe = Probe(platform.url, self._sources.databases["order"], 2 * RECOVERED)
        rows = self._probe.rows("SELECT id::text FROM orders")
        self._earlier = [Answer(None, str(order_id)) for (order_id,) in rows]
        self._letters = count_dead_letters(self._sources)
        self._copies = count_copies(self._sources.mailcatcher)

    def run(
        self,
        fault: str,
        block: AbstractContextManager[None],
        seconds: float,
        letters: Mapping[str, int] | None = None,
        copies: int = 0,
    ) -> None:
        """Let a fault last this long. Raises AssertionError if an answer, the recovery or an invariant is wrong.

        `letters` are the dead letters that the fault makes, `copies` the emails that may arrive twice because of it.
        """
        with Traffic(self._platform.url) as traffic:
            traffic.await_accepted(WARM_UP)
            began = time.monotonic()
            with block:
                time.sleep(max(0.0, began + seconds - time.monotonic()))
            lasted = time.monotonic() - began
            recovered = self._probe.recovery()
            outcome = traffic.stop()
        expected = self._expected(outcome, letters or {}, copies)
        broken = [str(one) for one in check_when_quiet(self._sources, expected=expected, within=SETTLED)]
        broken += outcome.wrong
        measured = _measured(fault, lasted, recovered, outcome, broken)
        record.write(measured)
        assert not broken, "\n".join(broken[:20])
        assert measured.answered <= ANSWERED, measured
        assert measured.recovered <= RECOVERED, measured

    def _expected(self, outcome: Outcome, letters: Mapping[str, int], copies: int) -> Expected:
        return Expected(
            answers=[*self._earlier, *self._probe.placed, *outcome.answers],
            unanswered=outcome.unanswered,
            dead_letters={name: count + letters.get(name, 0) for name, count in self._letters.items()},
            copies=self._copies + copies,
        )


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
