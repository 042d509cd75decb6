"""A run on a cluster: a release is under load while its pods come and go."""

import contextlib
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import httpx2
import psycopg
from incidents.probe import Probe
from invariants import Answer, Expected, check_when_quiet
from support.chassis import eventually
from support.cluster import Cluster

from chaos import cards, judging, pods
from chaos.clients import Clients, Seen
from chaos.ground import Ground, ground, letters
from chaos.report import Report
from chaos.rounds import Faults
from chaos.run import SETTLED, WARM_UP
from chaos.schedule import Round

RECOVERED = 180.0  # seconds until pods are ready again, and everything is as before


def run(cluster: Cluster, rounds: Sequence[Round], seed: int, rate: float, say: Callable[[str], None]) -> Report:
    """Let the faults happen to the release of scripts/kind-up.sh; `say` gets a line for each round.

    The release keeps the time limits of a run. Messages to customers are not judged, because the mail catcher loses
    them when its pod is replaced.
    """
    began, placed = time.monotonic(), list[Answer]()
    cluster.upgrade_json({f"services.payment.env.{name}": value for name, value in cards.ENVIRONMENT.items()})
    with cluster.sources() as sources, _probing(cluster) as probe:
        before = ground(probe, sources)
    with Clients(cluster.url, None, rate, seed) as clients:
        clients.await_accepted(WARM_UP)
        faults = Faults(cluster, pods.KINDS)
        survived = faults.survive(rounds, partial(_recovery, cluster, placed), clients.counted(say), 2 * RECOVERED)
        seen = clients.stop()
    with cluster.sources() as sources, _probing(cluster) as probe:
        found = check_when_quiet(sources, expected=_expected(before, placed, seen), within=SETTLED)
        broken = [*map(str, found), *judging.judge(probe, seen, survived, RECOVERED, before=before.orders)]
        broken += judging.named("dead-letters-are-the-expected-ones", before.too_many(letters(sources), _made(rounds)))
        return judging.report(probe, seen, survived, broken, before=before.orders, seed=seed, rate=rate, began=began)


def _expected(before: Ground, placed: Sequence[Answer], seen: Seen) -> Expected:
    answers = [*(Answer(None, order_id) for order_id in before.orders), *placed, *seen.answers]
    return Expected(answers=answers, unanswered=seen.unanswered, refunds=[*before.refunds, *seen.refunds])


def _made(rounds: Sequence[Round]) -> Counter[str]:
    """Return the number of dead letters that the faults make in each service."""
    made = Counter[str]()
    for one in itertools.chain.from_iterable(rounds):
        made.update(pods.KINDS[one.kind].letters())
    return made


@contextlib.contextmanager
def _probing(cluster: Cluster) -> Iterator[Probe]:
    """Yield a probe, which works as long as the order service's database stays where it is."""
    with cluster.sources(["order"]) as sources:
        yield Probe(cluster.url, sources.databases["order"], RECOVERED)


def _recovery(cluster: Cluster, placed: list[Answer]) -> float:
    """Return the seconds until all pods are ready and the system works; raises AssertionError if it takes too long."""
    began = time.monotonic()
    eventually(lambda: _works(cluster, placed), 2 * RECOVERED)
    return time.monotonic() - began


def _works(cluster: Cluster, placed: list[Answer]) -> bool:
    # A pod, and with it the connection to the database, may be replaced meanwhile.
    with contextlib.suppress(AssertionError, psycopg.OperationalError, httpx2.TransportError):
        cluster.await_ready()
        with _probing(cluster) as probe:
            try:
                probe.recovery()
            finally:
                placed += probe.placed
        return True
    return False
