"""`oms demo`: makes happen what can go wrong with an order, and shows how OMS handles it."""

import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.text import Text

from oms_cli import repairs, sample, show
from oms_cli.answers import Refused
from oms_cli.stage import RECOVERY_SECONDS, Stage, UnexpectedEnd
from oms_servers.errors import LocalError

DECLINED_CARD = "4000000000000002"
SLOW_CARD, MID_CHARGE_SECONDS = "9999000000000001", 1.0  # a charge of it takes two seconds
SCARCE_ITEM = "Item5"
GATEWAY_FAILURES = "/admin/simulator/failures"


def run(home: Path, console: Console, *, long: bool = False) -> None:
    """Go through all parts, even if one fails, and report at the end which ended as promised.

    Raises UnexpectedEnd if one did not, and Refused before the first if orders cannot be seen without a credential.
    """
    stage, results = Stage(home, console), dict[str, LocalError | None]()
    stage.client.orders(limit=1)
    for number, (title, part) in enumerate({**PARTS, **(LONG if long else {})}.items(), 1):
        stage.title(f"{number}. {title}")
        results[title] = _failure(stage, part)
        if (failure := results[title]) is not None:
            show.failure(console, failure)
    _summarise(console, results)


def _failure(stage: Stage, part: Callable[[Stage], None]) -> LocalError | None:
    try:
        part(stage)
    except LocalError as error:
        return error
    return None


def _summarise(console: Console, results: dict[str, LocalError | None]) -> None:
    console.print()
    for title, failure in results.items():
        said = ("as promised", "green") if failure is None else (f"NOT AS PROMISED: {failure.message}", "red")
        console.print(Text.assemble(f"{title}: ", said))
    failed = [failure for failure in results.values() if failure is not None]
    if failed:
        raise UnexpectedEnd(f"{len(failed)} of {len(results)} did not end as promised", "What each shows is above")
    console.print("\n[green]All orders ended as they should.[/] docs/architecture.md says how it works.")


def dead_service(stage: Stage) -> None:
    """Kill payment before the order: a charge that is cut off waits for the end of its lease, as in the last part."""
    stage.kill_payment()
    stage.await_end(stage.place(sample.ORDER), "CONFIRMED", None, RECOVERY_SECONDS)
    stage.why(
        "The order was stored together with its event (transactional outbox), and Kafka kept the event until "
        "payment was back. A service skips events that it gets twice (idempotent consumer)."
    )


def declined_card(stage: Stage) -> None:
    """The gateway declines the card."""
    stage.await_end(stage.place(sample.order(card=DECLINED_CARD)), "CANCELLED", "payment-declined")
    stage.why("No service waits for another: payment publishes that the charge failed, and order cancels.")


def sold_out(stage: Stage) -> None:
    """More is sold than there is."""
    left = _last_pieces(stage)
    orders = [stage.place(sample.order(SCARCE_ITEM, left))]
    try:
        orders.append(str(stage.client.place(sample.order(SCARCE_ITEM, left))["id"]))
    except Refused as refused:
        stage.say(f"the second was too late for that: {refused}")
    ends = [stage.follow(order) for order in orders]
    stage.expect(sorted(ends), [("CANCELLED", "out-of-stock"), ("CONFIRMED", "")][-len(orders) :])
    stage.await_messages(orders)
    stage.why(
        "Both had paid when inventory found too little for the second: it publishes that, and payment refunds "
        "(compensation) before the order is CANCELLED. A moment later, the item is known to be sold out, and POST "
        "/order refuses it (409)."
    )


def cancelled(stage: Stage) -> None:
    """The customer is quicker than the gateway."""
    order = stage.place(sample.order(card=SLOW_CARD))
    status = stage.client.cancel(order, reason="changed my mind")["status"]
    stage.say(f"POST /order/{order}/cancel: it is {status}")
    stage.await_end(order, "CANCELLED", "customer")
    stage.why(
        "From that answer on, nothing confirms the order. Payment refunds the charge as soon as its outcome is "
        "known, or never makes it; inventory releases the stock, or never reserves it; then it is CANCELLED."
    )


def lost_answer(stage: Stage) -> None:
    """The charge is made, and its answer is lost."""
    stage.admin.all("payment", GATEWAY_FAILURES, "PUT", target="gateway", kind="lost-answer", times=1)
    stage.await_end(stage.place(sample.ORDER), "CONFIRMED", None)
    stage.why("A call whose answer is lost is asked about before it is repeated: the customer pays once.")


def cut_off_charge(stage: Stage) -> None:
    """Nobody knows whether the charge was made."""
    order = stage.place(sample.order(card=SLOW_CARD))
    time.sleep(MID_CHARGE_SECONDS)
    stage.kill_payment()
    stage.say("[dim]nobody knows whether the card was charged; the job's lease ends within 20 s[/]")
    stage.await_end(order, "CONFIRMED", None, RECOVERY_SECONDS)
    stage.why(
        "The charge is a job with a lease. When that ends, the job is done again with the same idempotency key, by "
        "which the gateway knows a charge that it has already made: the customer pays once."
    )


def _last_pieces(stage: Stage) -> int:
    """Return how many pieces of the scarce item are left, after restocking it if there was none."""
    left = int(stage.client.item(SCARCE_ITEM)["onHand"])
    if left == 0:
        stage.client.restock(SCARCE_ITEM, 1)
        stage.say(f"{SCARCE_ITEM} was sold out: restocked by one")
    return left or 1


PARTS: dict[str, Callable[[Stage], None]] = {
    "The payment service is killed, and an order comes in": dead_service,
    "The card is declined": declined_card,
    "Two customers want the last piece": sold_out,
    "The customer changes their mind while the card is being charged": cancelled,
    "The gateway dies after it has charged": lost_answer,
    "The mail server refuses a mail, which is given up and sent after all": repairs.given_up_email,
    "A piece comes back broken, and an operator refunds it": repairs.refund,
    "A release with a mistake cannot use an event, which is applied once that is repaired": repairs.dead_letter,
}
LONG: dict[str, Callable[[Stage], None]] = {
    "The payment service is killed in the middle of a charge": cut_off_charge,
}
