"""The picture of who publishes what to whom: a Mermaid flowchart, written between two marks in Markdown pages."""

from collections import defaultdict
from collections.abc import Iterator

from oms_contracts import marks
from oms_contracts.topics import SERVICES, TOPICS

BEGIN = "<!-- events: begin; `make contracts` writes what follows -->"
END = "<!-- events: end -->"

# What is no topic: the world around the services.
OUTSIDE = (
    'customer([customer]) -->|"POST /order"| order',
    "payment --> gateway[/payment gateway/]",
    "sms --> phone[/SMS provider/]",
    "email --> mail[/mail server/]",
)


def flowchart() -> str:
    """The flowchart, a line for each pair of a publisher and the services that read the same events of it."""
    names = {"sms": "SMS"}
    nodes = [f"{service}[{names.get(service, service.capitalize())}]" for service in SERVICES]
    return "\n  ".join(["flowchart LR", *nodes, *OUTSIDE, *_arrows()]) + "\n"


def drawn(page: str) -> str:
    """The page with today's flowchart between its marks. Raises ValueError if it does not have both, once."""
    return marks.replaced(page, BEGIN, END, f"\n```mermaid\n{flowchart()}```\n\n")


def _arrows() -> Iterator[str]:
    readers: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for publisher in SERVICES:
        for reader in SERVICES:
            if events := tuple(t.name for t in TOPICS if t.emitted_by == publisher and reader in t.read_by):
                readers[publisher, events].append(reader)
    for (publisher, events), found in readers.items():
        yield f'{publisher} -->|"{"<br>".join(events)}"| {" & ".join(found)}'
