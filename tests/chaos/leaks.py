"""Checks whether a card number was stored or written anywhere while there were faults.

`tests/cards` looks for every form in which a number, or a cvv, could be written; here it is only the number as it was
sent.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from support import traces
from support.traces import Trace

from oms_platform.platform import Platform
from oms_simulators.payment.testcards import TEST_CARDS

NUMBERS = [
    number for number in TEST_CARDS if len(number) >= 12
]  # that of the sample order is part of many other numbers


def look(platform: Platform) -> list[str]:
    """Return where a number is in logs, topics, or the files of databases and the mail catcher. Reads all of them."""
    places = (find(platform) for find in (traces.logs, traces.databases, traces.kafka, traces.mailcatcher))
    return list(found(chain.from_iterable(places), NUMBERS))


def found(places: Iterable[Trace], numbers: Sequence[str]) -> Iterator[str]:
    """Yield the places with one of these numbers, without repeating the number."""
    searched = [number.encode() for number in numbers]
    for where, content in places:
        if any(number in content for number in searched):
            yield f"a card's number is in {where}"
