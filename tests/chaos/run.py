"""One run: a schedule of faults on a platform under load, and what all of it came to."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from incidents.bounds import ANSWERED, RECOVERED
from incidents.probe import Probe
from invariants import Answer, Expected, Sources, check_when_quiet
from invariants.reading import count_copies, count_dead_letters
from support.deployment import Deployment
from support.proxied import ProxiedPlatform, proxied_platform

from chaos import cards, kinds
from chaos.clients import Clients, Seen
from chaos.operators import Operators, admin_of
from chaos.report import Recovery, Report
from chaos.schedule import LONGEST, Planned, Round
from oms_servers.errors import LocalError
from oms_servers.testing import temporary_folder

WARM_UP = 10  # accepted orders before the first fault begins
SETTLED = 300.0  # seconds until every customer is notified: retries pause for up to 60
SETTLED_BROKEN = 120.0  # of a run with a deliberate bug, after which some are not
_NOT_CANCELLED = "SELECT id::text FROM orders WHERE id::text = ANY(%s) AND status <> 'CANCELLED'"
_FAILED = """
SELECT refund.id::text, coalesce(failure, 'nothing'), split_part(card_token, '-', 3)
FROM refund JOIN orders ON orders.id = order_id WHERE refund.status = 'FAILED'
"""


def run_alone(
    rounds: Sequence[Round],
    seed: int,
    rate: float,
    say: Callable[[str], None],
    environment: Mapping[str, str] = {},
    *,
    within: float = SETTLED,
) -> Report:
    """A run on a platform of its own."""
    more = {**cards.ENVIRONMENT, **environment}
    with temporary_folder() as folder, proxied_platform(folder, more, kinds.ON_OWN_DISK) as proxied:
        return run(proxied, rounds, seed, rate, say, within=within)


def run(
    proxied: ProxiedPlatform,
    rounds: Sequence[Round],
    seed: int,
    rate: float,
    say: Callable[[str], None],
    *,
    within: float = SETTLED,
) -> Report:
    """Let the faults happen, until the system does not recover; `say` gets a line for each round. It comes to rest
    within so many seconds, or never."""
    began, platform = time.monotonic(), proxied.platform
    sources: Sources = Deployment.of(platform).sources()  # type: ignore[assignment] # all of it is here
    probe = Probe(platform.url, sources.databases["order"], 2 * RECOVERED)
    ground = _ground(sources, probe)
    with Operators(admin_of(proxied, "ann")) as operators:
        with Clients(platform.url, platform.inventory_url, rate, seed) as clients:
            clients.await_accepted(WARM_UP)
            survived = _all(proxied, rounds, probe, clients, say)
            seen = clients.stop()
        happened = rounds[: len(survived)]
        found = check_when_quiet(sources, expected=_expected(ground, probe, seen, happened), within=within)
    failed = probe.rows(_FAILED)
    broken = [*map(str, found), *_named("answers-are-right", [*seen.wrong, *operators.wrong])]
    broken += _named("answers-come-in-time", _too_slow(seen))
    broken += _named("the-system-recovers", [f"it took {one.seconds} s" for one in survived if one.seconds > RECOVERED])
    broken += _named("cancellations-are-kept", _not_cancelled(probe, seen))
    broken += _named("refunds-fail-for-a-reason", _failed_for_nothing(failed, happened))
    return Report(
        seed=seed,
        rate=rate,
        lasted=round(time.monotonic() - began, 1),
        accepted=len({answer.order_id for answer in seen.answers}),
        cancelled=len(seen.cancelled),
        refused=sum(seen.refusals.values()),
        in_doubt=sum(client.in_doubt for client in seen.unanswered),
        answered=round(seen.slowest, 1),
        rounds=survived,
        broken=broken,
        refunds=len(seen.refunds),
        failed=len(failed),
        redriven=len(operators.redriven),
        copies=count_copies(sources.mailcatcher or "") - ground.copies,
    )


def _all(
    proxied: ProxiedPlatform,
    rounds: Sequence[Round],
    probe: Probe,
    clients: Clients,
    say: Callable[[str], None],
) -> list[Recovery]:
    """Let the faults of all rounds happen; after one from which there is no recovery, no other does."""
    survived: list[Recovery] = []
    for number, planned in enumerate(rounds, 1):
        names, faults = ", ".join(map(_said, planned)), [kinds.name(one) for one in planned if not _obstacle(one)]
        try:
            _suffer(proxied, planned)
            survived.append(Recovery(faults, round(probe.recovery(), 2)))
        except (AssertionError, LocalError) as error:
            say(f"round {number} of {len(rounds)}: {names}; no recovery: {error}")
            return [*survived, Recovery(faults, 2 * RECOVERED)]
        accepted = len(clients.seen.answers)
        say(f"round {number} of {len(rounds)}: {names}; recovered in {survived[-1].seconds} s; {accepted} orders")
    return survived


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
    if _obstacle(planned):
        return
    time.sleep(planned.begins)
    with kinds.KINDS[planned.kind].block(proxied, planned.target):
        time.sleep(planned.lasts)


def _obstacle(planned: Planned) -> str | None:
    return kinds.KINDS[planned.kind].obstacle()


def _said(planned: Planned) -> str:
    obstacle = _obstacle(planned)
    return f"{planned.kind} ({planned.target})" + (f", skipped: {obstacle}" if obstacle else "")


def _expected(ground: _Ground, probe: Probe, seen: Seen, rounds: Sequence[Round]) -> Expected:
    letters, copies = Counter(ground.letters), ground.copies
    for one in (one for planned in rounds for one in planned):
        letters.update(kinds.KINDS[one.kind].letters())
        copies += kinds.copies(one.kind, one.target)
    return Expected(
        answers=[*ground.answers, *probe.placed, *seen.answers],
        unanswered=seen.unanswered,
        dead_letters=letters,
        copies=copies,
        refunds=seen.refunds,
    )


def _named(rule: str, found: Sequence[str]) -> list[str]:
    """As the checker names what it finds."""
    return [f"{rule}: {one}" for one in found]


def _too_slow(seen: Seen) -> list[str]:
    """An answer may take as long as the order service itself is suspended, and its bound."""
    return [f"an answer took {seen.slowest:.1f} s"] if seen.slowest > ANSWERED + LONGEST else []


def _not_cancelled(probe: Probe, seen: Seen) -> list[str]:
    rows = probe.rows(_NOT_CANCELLED, sorted(seen.cancelled))
    return [f"{order_id}: its cancellation was accepted, and it is not cancelled" for (order_id,) in rows]


def _failed_for_nothing(failed: Sequence[tuple[object, ...]], rounds: Sequence[Round]) -> list[str]:
    """A refund may fail where the card, or a fault, has the gateway refuse it; and it says so."""
    if any(kinds.refuses_refunds(one) for planned in rounds for one in planned):
        return [f"{id_}: it failed, and does not say why" for id_, why, _ in failed if why == "nothing"]
    return [
        f"{id_}: a refund to a card that is {card} failed for {why}"
        for id_, why, card in failed
        if why == "nothing" or card not in cards.NOT_REFUNDED
    ]
