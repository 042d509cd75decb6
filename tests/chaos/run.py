"""Makes one run: a schedule of faults on a platform under load, and the report."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from incidents.bounds import ANSWERED, RECOVERED
from incidents.probe import Probe
from invariants import Expected, Sources, check_when_quiet
from invariants.reading import count_copies
from support.deployment import Deployment
from support.proxied import ProxiedPlatform, proxied_platform

from chaos import cards, judging, kinds, leaks, strangers, switches
from chaos.clients import Clients, Seen
from chaos.ground import LocalGround, local_ground
from chaos.operators import Operators, admin_of
from chaos.report import Report
from chaos.rounds import Faults
from chaos.schedule import LONGEST, Round
from oms_servers.testing import temporary_folder

WARM_UP = 10  # accepted orders before the first fault begins
SETTLED = 300.0  # seconds until every customer is notified: retries pause for up to 60
SETTLED_BROKEN = 120.0  # the same for a run with a deliberate bug, in which some customers never are


def run_alone(
    rounds: Sequence[Round],
    seed: int,
    rate: float,
    say: Callable[[str], None],
    environment: Mapping[str, str] = {},
    *,
    within: float = SETTLED,
) -> Report:
    """Make a run on a platform of its own."""
    more = {**cards.ENVIRONMENT, **switches.MAIL_BOUNDS, **environment}
    with temporary_folder() as folder, _platform(folder, more) as proxied:
        return run(proxied, rounds, seed, rate, say, within=within)


def _platform(folder: Path, more: Mapping[str, str]) -> AbstractContextManager[ProxiedPlatform]:
    return proxied_platform(folder, more, kinds.ON_OWN_DISK, own_clocks=True)


def run(
    proxied: ProxiedPlatform,
    rounds: Sequence[Round],
    seed: int,
    rate: float,
    say: Callable[[str], None],
    *,
    within: float = SETTLED,
) -> Report:
    """Let the faults happen, as long as the system recovers; `say` gets a line for each round. Afterwards, the system
    must come to rest within `within` seconds."""
    began, platform = time.monotonic(), proxied.platform
    sources: Sources = Deployment.of(platform).sources()  # type: ignore[assignment] # all of it is here
    probe = Probe(platform.url, sources.databases["order"], 2 * RECOVERED)
    ground, faults = local_ground(sources, probe), Faults(proxied, kinds.KINDS, kinds.name)
    with Operators(admin_of(proxied, "ann")) as operators:
        with Clients(platform.url, platform.inventory_url, rate, seed) as clients:
            clients.await_accepted(WARM_UP)
            survived = faults.survive(rounds, probe.recovery, clients.counted(say), 2 * RECOVERED)
            seen = clients.stop()
        happened = rounds[: len(survived)]
        shown = strangers.look(proxied, [answer.order_id for answer in seen.answers])
        found = check_when_quiet(sources, expected=_expected(ground, probe, seen, happened), within=within)
    excuses = kinds.excuses(faults.happened)
    broken = [*map(str, found), *judging.named("answers-are-right", operators.wrong)]
    broken += judging.named("strangers-are-shown-nothing", shown)
    broken += judging.named("card-numbers-are-nowhere", leaks.look(platform))
    # An answer may take as long as its bound, plus the time for which the order service itself is suspended.
    before, bound = [str(answer.order_id) for answer in ground.answers], ANSWERED + LONGEST
    broken += judging.judge(probe, seen, survived, RECOVERED, bound, before=before, excuses=excuses)
    return replace(
        judging.report(probe, seen, survived, broken, seed=seed, rate=rate, began=began, before=before),
        redriven=len(operators.redriven),
        copies=count_copies(sources.mailcatcher or "") - ground.copies,
    )


def _expected(ground: LocalGround, probe: Probe, seen: Seen, rounds: Sequence[Round]) -> Expected:
    letters, copies = Counter(ground.letters), ground.copies
    for one in (one for planned in rounds for one in planned):
        letters.update(kinds.KINDS[one.kind].letters())
        copies += kinds.copies(one.kind, one.target)
    return Expected(
        answers=[*ground.answers, *probe.placed, *seen.answers],
        unanswered=seen.unanswered,
        dead_letters=letters,
        buried=ground.buried,
        copies=copies,
        refunds=seen.refunds,
        sent_once=all(one.kind in kinds.HARMLESS_TO_RELAYS for planned in rounds for one in planned),
    )
