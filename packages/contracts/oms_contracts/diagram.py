"""A Mermaid flowchart of who publishes what to whom, written between two marks in Markdown pages."""

from collections import defaultdict
from collections.abc import Iterator

from oms_contracts import marks
from oms_contracts.topics import SERVICES, TOPICS

BEGIN = "<!-- events: begin; `make contracts` writes what follows -->"
END = "<!-- events: end -->"

# The world around the services, which no topic describes.
OUTSIDE = (
    'customer([customer]) -->|"POST /order"| order',
    "payment --> gateway[/payment gateway/]",
    "sms --> phone[/SMS provider/]",
    "email --> mail[/mail server/]",
)


def flowchart() -> str:
    """Return the flowchart: a line for each publisher and group of services that read the same of its events."""
    names = {"sms": "SMS"}
    nodes = [f"{service}[{names.get(service, service.capitalize())}]" for service in SERVICES]
    return "\n  ".join(["flowchart LR", *nodes, *OUTSIDE, *_arrows()]) + "\n"


def drawn(page: str) -> str:
    """Return the page with the present flowchart between its marks. Raises ValueError unless it has both, once."""
    return marks.replaced(page, BEGIN, END, f"\n```mermaid\n{flowchart()}```\n\n")


def _arrows() -> Iterator[str]:
    readers: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for publisher in SERVICES:
        for reader in SERVICES:
            if events := tuple(t.name for t in TOPICS if t.emitted_by == publisher and reader in t.read_by):
                readers[publisher, events].append(reader)
    for (publisher, events), found in readers.items():
        yield f'{publisher} -->|"{"<br>".join(events)}"| {" & ".join(found)}'
