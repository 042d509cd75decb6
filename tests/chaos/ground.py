"""What was there before a run, which is not judged again: a release on a cluster has what earlier runs left."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from incidents.probe import Probe
from invariants import Answer, Promised, Sources
from invariants.reading import count, count_buried, count_copies, count_dead_letters

_ORDERS = "SELECT id::text FROM orders"
_REFUNDS = "SELECT id::text, order_id::text, amount FROM refund"
_LETTERS = "SELECT count(*) FROM dead_letter WHERE state = 'dead'"


@dataclass(frozen=True)
class Ground:
    """The orders, their refunds, and how many dead letters each service had that nobody had redriven."""

    orders: Sequence[str]
    refunds: Sequence[Promised]
    letters: Counter[str]

    def too_many(self, letters: Mapping[str, int], made: Mapping[str, int]) -> list[str]:
        """The services that have more letters now than they had and faults have `made`."""
        allowed = self.letters + Counter(made)
        return [
            f"{service} has {number} dead letters, and not {allowed[service]}"
            for service, number in letters.items()
            if number > allowed[service]
        ]


def ground(probe: Probe, sources: Sources) -> Ground:
    """What there is now."""
    refunds = [Promised(str(id_), str(order), int(str(amount))) for id_, order, amount in probe.rows(_REFUNDS)]
    return Ground([str(id_) for (id_,) in probe.rows(_ORDERS)], refunds, letters(sources))


def letters(sources: Sources) -> Counter[str]:
    """How many dead letters each service has, by what it keeps of them: for where Kafka itself is out of reach."""
    return Counter({service: count(url, _LETTERS) for service, url in sources.databases.items()})


@dataclass(frozen=True)
class LocalGround:
    """The orders, what topics and databases have of dead letters, and the emails that came twice, where all of it is
    within reach."""

    answers: Sequence[Answer]
    letters: Counter[str]
    buried: Mapping[str, int]
    copies: int


def local_ground(sources: Sources, probe: Probe) -> LocalGround:
    """What there is now on a platform of this machine."""
    assert sources.mailcatcher is not None
    assert sources.kafka is not None
    answers = [Answer(None, str(order_id)) for (order_id,) in probe.rows(_ORDERS)]
    letters = Counter(count_dead_letters(sources))
    return LocalGround(answers, letters, count_buried(sources), count_copies(sources.mailcatcher))
