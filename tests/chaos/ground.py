"""The state before a run, which is not judged again: a release on a cluster still has the data of earlier runs."""

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
    """The orders, their refunds, and the number of dead letters of each service that nobody had redriven."""

    orders: Sequence[str]
    refunds: Sequence[Promised]
    letters: Counter[str]

    def too_many(self, letters: Mapping[str, int], made: Mapping[str, int]) -> list[str]:
        """Return the services that have more letters now than before plus those that faults have `made`."""
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
    """Return how many dead letters each service has, by its own table, because Kafka itself may be out of reach."""
    return Counter({service: count(url, _LETTERS) for service, url in sources.databases.items()})


@dataclass(frozen=True)
class LocalGround:
    """The orders, the dead letters in topics and databases, and the emails that arrived twice, if all of it can be
    reached."""

    answers: Sequence[Answer]
    letters: Counter[str]
    buried: Mapping[str, int]
    copies: int


def local_ground(sources: Sources, probe: Probe) -> LocalGround:
    """Return the current state of a platform on this machine."""
    assert sources.mailcatcher is not None
    assert sources.kafka is not None
    answers = [Answer(None, str(order_id)) for (order_id,) in probe.rows(_ORDERS)]
    letters = Counter(count_dead_letters(sources))
    return LocalGround(answers, letters, count_buried(sources), count_copies(sources.mailcatcher))
