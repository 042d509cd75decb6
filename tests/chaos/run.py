"""One run: a schedule of faults on a platform under load, and what all of it came to."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from incidents.bounds import ANSWERED, RECOVERED
from incidents.probe import Probe
from invariants import Answer, Expected, Sources, check_when_quiet
from invariants.reading import count_copies, count_dead_letters
from support.deployment import Deployment
from support.proxied import ProxiedPlatform

from chaos import kinds
from chaos.clients import Clients, Seen
from chaos.schedule import LONGEST, Planned, Round

WARM_UP = 10  # accepted orders before the first fault begins
SETTLED = 300.0  # seconds until every customer is notified: retries pause for up to 60
SETTLED_BROKEN = 120.0  # where something is expected not to be
_NOT_CANCELLED = "SELECT id::text FROM orders WHERE id::text = ANY(%s) AND status <> 'CANCELLED'"


@dataclass(frozen=True)
class Report:
    """What a run came to. Times are in seconds; `recoveries` are from the end of each round's last fault."""

    seed: int
    rate: float
    lasted: float
    faults: dict[str, int]
    accepted: int
    cancelled: int
    refused: int
    in_doubt: int
    answered: float
    recoveries: list[float] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Whether every invariant and every bound held."""
        return not self.broken


def run(
    proxied: ProxiedPlatform,
    rounds: Sequence[Round],
    seed: int,
    rate: float,
    say: Callable[[str], None],
    *,
    until_broken: bool = False,
) -> Report:
    """Let the faults happen; `say` gets a line for each round. `until_broken` ends it where a recovery fails."""
    began, platform = time.monotonic(), proxied.platform
    sources: Sources = Deployment.of(platform).sources()  # type: ignore[assignment] # all of it is here
    probe = Probe(platform.url, sources.databases["order"], 2 * RECOVERED)
    ground = _ground(sources, probe)
    recoveries: list[float] = []
    with Clients(platform.url, platform.inventory_url, rate, seed) as clients:
        clients.await_accepted(WARM_UP)
        for number, planned in enumerate(rounds, 1):
            names = ", ".join(f"{one.kind} ({one.target})" for one in planned)
            _suffer(proxied, planned)
            try:
                recoveries.append(round(probe.recovery(), 2))
            except AssertionError:
                if not until_broken:
                    raise
                recoveries.append(2 * RECOVERED)
                break
            accepted = len(clients.seen.answers)
            say(f"round {number} of {len(rounds)}: {names}; recovered in {recoveries[-1]:.1f} s; {accepted} orders")
        seen = clients.stop()
    expected = _expected(ground, probe, seen, rounds)
    broken = [
        str(one)
        for one in check_when_quiet(sources, expected=expected, within=SETTLED_BROKEN if until_broken else SETTLED)
    ]
    broken += [*seen.wrong, *_too_slow(seen, recoveries), *_not_cancelled(probe, seen)]
    return Report(
        seed=seed,
        rate=rate,
        lasted=round(time.monotonic() - began, 1),
        faults=dict(Counter(one.kind for planned in rounds for one in planned)),
        accepted=len({answer.order_id for answer in seen.answers}),
        cancelled=len(seen.cancelled),
        refused=sum(seen.refusals.values()),
        in_doubt=sum(client.in_doubt for client in seen.unanswered),
        answered=round(seen.slowest, 1),
        recoveries=recoveries,
        broken=broken,
    )


@dataclass(frozen=True)
class _Ground:
    """What was there before."""

    answers: Sequence[Answer]
    letters: Counter[str]
    copies: int


def _ground(sources: Sources, probe: Probe) -> _Ground:
    assert sources.mailcatcher is not None
    assert sources.kafka is not None
    answers = [Answer(None, str(order_id)) for (order_id,) in probe.rows("SELECT id::text FROM orders")]
    return _Ground(answers, Counter(count_dead_letters(sources.kafka)), count_copies(sources.mailcatcher))


def _suffer(proxied: ProxiedPlatform, planned: Round) -> None:
    """Let the faults of a round happen, each in its time; return when all are over."""
    with ThreadPoolExecutor(len(planned)) as pool:
        happening = [pool.submit(_happen, proxied, one) for one in planned]
    for one in happening:
        one.result()


def _happen(proxied: ProxiedPlatform, planned: Planned) -> None:
    time.sleep(planned.begins)
    with kinds.KINDS[planned.kind].block(proxied, planned.target):
        time.sleep(planned.lasts)


def _expected(ground: _Ground, probe: Probe, seen: Seen, rounds: Sequence[Round]) -> Expected:
    letters, copies = Counter(ground.letters), ground.copies
    for one in (one for planned in rounds for one in planned):
        letters.update(kinds.KINDS[one.kind].letters())
        copies += kinds.copies(one.kind, one.target)
    answers = [*ground.answers, *probe.placed, *seen.answers]
    return Expected(answers=answers, unanswered=seen.unanswered, dead_letters=letters, copies=copies)


def _too_slow(seen: Seen, recoveries: Sequence[float]) -> list[str]:
    """An answer may take as long as the order service itself is suspended, and its bound."""
    slow = [f"an answer took {seen.slowest:.1f} s"] if seen.slowest > ANSWERED + LONGEST else []
    return slow + [f"a recovery took {one:.1f} s" for one in recoveries if one > RECOVERED]


def _not_cancelled(probe: Probe, seen: Seen) -> list[str]:
    rows = probe.rows(_NOT_CANCELLED, sorted(seen.cancelled))
    return [f"{order_id}: its cancellation was accepted, and it is not cancelled" for (order_id,) in rows]
