"""`oms customers`: exports what is stored about a customer, and erases it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product, zip_longest
from typing import Annotated

import typer
from rich.console import RenderableType

from oms_cli import show
from oms_cli.admin import Acting, Admin
from oms_cli.answers import Refused
from oms_cli.batches import Yes, confirm
from oms_cli.client import Json
from oms_cli.messages import CHANNELS
from oms_cli.options import As, DryRun, Reason, Urls, acting, group
from oms_cli.output import AsJson, out
from oms_cli.timeline import TERMINAL
from oms_contracts.topics import ORDER_REFUNDED, SERVICES
from oms_servers.errors import LocalError

app = group("Export what is stored about a customer, or erase it.")
Email = Annotated[str, typer.Argument(metavar="EMAIL", help="The address that the orders were placed with.")]
AT_ONCE, TEXTS = 200, 50  # orders and texts in one request to a service
LETTERS = 100  # dead letters of one order that are searched
NOT_FOUND = 404


class UnderWay(LocalError):
    """A customer cannot be erased yet."""


@app.command("export")
def export(email: Email, name: As = None, reason: Reason = None, urls: Urls = None) -> None:
    """Print all that is stored about a customer, as JSON: orders, payments, and the outcomes of messages.

    Example: `oms customers export ann@example.com >ann.json`
    """
    admin = acting(urls, name, reason)
    orders = _orders(admin, email)
    ids = [order["id"] for order in orders]
    more = {"payments": [_if_any(admin, "payment", f"/admin/payments/{one}") for one in ids]}
    about = [*ids, *(refund["id"] for order in orders for refund in order.get("refunds") or ())]
    more |= {channel: [_if_any(admin, channel, f"/admin/messages/{one}") for one in about] for channel in CHANNELS}
    out({"orders": orders, **{kind: [one for one in those if one] for kind, those in more.items()}}, str, as_json=True)


@app.command("erase")
def erase(
    email: Email,
    yes: Yes = False,
    dry_run: DryRun = False,
    name: As = None,
    reason: Reason = None,
    urls: Urls = None,
    as_json: AsJson = False,
) -> None:
    """Erase a customer's name, addresses, phone numbers, card and caller from every service, for good.

    What was ordered and paid stays, without the customer, for operators to see. Nothing is erased while an order is
    under way. The command may be repeated. Topics and backups keep the data until their retention ends: topics for
    eight days at most.

    Example: `oms customers erase ann@example.com --reason "request 17"`
    """
    looking, admin = acting(urls, name, reason), acting(urls, name, reason, dry_run)
    customer = looking.look("order", "/admin/customers/find", email=email)
    _refuse_if_under_way(customer["orders"])
    _refuse_if_unread(looking, customer["announced"])
    what = _portions(list(customer["orders"]), sorted({email, *customer["texts"]}))
    trial = Admin.of_environment(Acting(name, reason, dry_run=True), urls or ())
    for service in SERVICES:
        _erase(trial, service, what)  # unless all of them would do it, none does
    confirm(f"Erase this customer from {len(customer['orders'])} order(s) for good?", yes=yes, dry_run=dry_run)
    # The order service is last: if this is interrupted, it still knows which orders are the customer's.
    erased = {one: _erase(admin, one, what) for one in sorted(SERVICES, key="order".__eq__)}
    out(erased, _erased, as_json=as_json)


def _orders(admin: Admin, email: str) -> Sequence[Json]:
    """Return a customer's orders, from as many requests as that takes."""
    ids = list(admin.look("order", "/admin/customers/find", email=email)["orders"])
    answers = (
        admin.look("order", "/admin/customers/export", email=email, subjects=list(some))
        for some in list(_batches(ids)) or [()]  # the audit log records the request, even if there are no orders
    )
    return [order for answer in answers for order in answer["orders"]]


def _portions(subjects: Sequence[str], texts: Sequence[str]) -> Sequence[Json]:
    """Split orders and texts into the bodies of as many requests as they need."""
    found = zip_longest(_batches(subjects), _batches(texts, TEXTS), fillvalue=())
    return [{"subjects": list(some), "texts": list(these)} for some, these in found]


def _erase(admin: Admin, service: str, portions: Iterable[Json]) -> Json:
    """Have a service erase these, and return how many rows of each kind it has erased in all."""
    counts: Counter[str] = Counter()
    for one in portions:
        counts.update(admin.act(service, "/admin/customers/erase", **one))
    return dict(counts)


def _refuse_if_under_way(orders: Mapping[str, str]) -> None:
    under_way = [order for order, status in orders.items() if status not in TERMINAL]
    if under_way:
        raise UnderWay(
            f"Orders are under way: {', '.join(under_way)}", "`oms order watch ID`, or `oms order cancel ID`"
        )


def _batches(listed: Sequence[str], size: int = AT_ONCE) -> Iterator[Sequence[str]]:
    return (listed[start : start + size] for start in range(0, len(listed), size))


def _refuse_if_unread(admin: Admin, announced: Mapping[str, str]) -> None:
    """Refuse if a channel has not read all events about these orders and refunds: one that is read later would bring
    the customer's data back."""
    for channel, some in product(CHANNELS, _batches(list(announced))):
        states = admin.look(channel, "/admin/evidence", subjects=list(some))["states"]
        for one in some:
            if one not in states:
                _refuse_unless_given_up(admin, channel, one, announced[one])


def _refuse_unless_given_up(admin: Admin, channel: str, about: str, order: str) -> None:
    """Refuse if a channel that does not know an order or a refund may still read its event. If the event is a dead
    letter, the channel has read it: one that may still be applied has to be settled first, and one that was dropped is
    erased like all others."""
    for letter in _letters(admin, channel, about, order, "dead"):
        what = f"{channel} has a dead letter about {about}"
        raise UnderWay(what, f"`oms deadletters redrive {channel} {letter}`, or drop it")
    if not _letters(admin, channel, about, order, "dropped"):
        raise UnderWay(f"{channel} has not read yet what became of {about}", "Try again in a moment")


def _letters(admin: Admin, channel: str, about: str, order: str, state: str) -> Sequence[int]:
    """Return the dead letters in this state that are about the end of an order, or about a refund of it."""
    found = admin.pages(channel, "/admin/dead-letters", LETTERS, subject=order, state=state)
    if about == order:
        return [one["id"] for one in found if one["topic"] != ORDER_REFUNDED.name]
    ids = [one["id"] for one in found if one["topic"] == ORDER_REFUNDED.name]
    return [one for one in ids if _refund(admin.get(channel, f"/admin/dead-letters/{one}")["value"]) == about]


def _refund(event: object) -> object:
    """Return the refund that an event is about, if any."""
    data = event.get("data") if isinstance(event, dict) else None
    return data.get("refundId") if isinstance(data, dict) else None


def _if_any(admin: Admin, service: str, path: str) -> Json | None:
    try:
        found: Json = admin.get(service, path)
    except Refused as refused:
        if refused.status != NOT_FOUND:
            raise  # an error does not mean that there is nothing
        return None
    return found


def _erased(found: Json) -> RenderableType:
    kinds: Sequence[str] = ("rows", "deadLetters", "quarantined", "jobs")
    rows = ((service, *(str(counts[kind]) for kind in kinds)) for service, counts in found.items())
    return show.table(("service", "orders", "dead letters", "quarantined", "calls given up"), rows)
