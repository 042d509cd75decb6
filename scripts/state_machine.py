"""Write docs/state-machine.md from the domain modules: `python -m scripts.state_machine [--check]`.

Every cell is the code's own answer: an order or a payment in that state is made, and the event is applied to it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from oms_order import domain as order
from oms_order.domain import Fact, Order, Status
from oms_order.refunds import RefundStatus, settled
from oms_payment.domain import Outcome, Payment, State
from scripts import generated

PAGE = Path(__file__).parents[1] / "docs" / "state-machine.md"
NOTHING = "-"

ORDERS: Mapping[str, tuple[Fact, ...]] = {
    "PENDING": (),
    "PAID": (Fact.PAID,),
    "CONFIRMED": (Fact.PAID, Fact.STOCK_RESERVED),
    "CANCELLING: stock is short": (Fact.PAID, Fact.STOCK_REJECTED),
    "CANCELLING: called off": (Fact.PAID, Fact.CANCELLED),
    "CANCELLING: called off, money is back": (Fact.PAID, Fact.CANCELLED, Fact.REFUNDED),
    "CANCELLING: called off, stock is free": (Fact.PAID, Fact.CANCELLED, Fact.STOCK_RELEASED),
    "CANCELLED": (Fact.PAID, Fact.CANCELLED, Fact.REFUNDED, Fact.STOCK_RELEASED),
}
FACTS: Mapping[str, Fact] = {
    "paymentCompleted": Fact.PAID,
    "paymentFailed": Fact.DECLINED,
    "inventoryUpdated": Fact.STOCK_RESERVED,
    "inventoryRejected": Fact.STOCK_REJECTED,
    "paymentRefunded": Fact.REFUNDED,
    "inventoryReleased": Fact.STOCK_RELEASED,
}
CHARGE = "charge-1"
PAYMENTS: Mapping[str, Payment] = {
    "PENDING": Payment("o", State.PENDING),
    "COMPLETED": Payment("o", State.COMPLETED, CHARGE),
    "FAILED": Payment("o", State.FAILED, reason="card-declined"),
    "REFUNDING: the charge is under way, or was never made": Payment("o", State.REFUNDING),
    "REFUNDING: charged": Payment("o", State.REFUNDING, CHARGE),
    "REFUNDED": Payment("o", State.REFUNDED, CHARGE, "refund-1"),
}
MOVES: Mapping[str, Callable[[Payment], Payment | None]] = {
    "the charge is approved": lambda one: one.charged(Outcome(True, CHARGE)),
    "the charge is declined": lambda one: one.charged(Outcome(False, CHARGE, "card-declined")),
    "inventoryRejected or orderCancelled": Payment.rejected,
    "the refund is made, or there was nothing to refund": lambda one: one.refunded("refund-1"),
    "the bank sends the money back": lambda one: one.refund_sent_back("refund-1"),
}
TEXT = """# State machines

What happens to an order, its refunds and its payment for every event, in every status. The tables are written by
`python -m scripts.state_machine` from `oms_order.domain`, `oms_order.refunds` and `oms_payment.domain`;
`make lint` fails when they are not what the code does. The words are those of the [glossary](glossary.md).

## Order

```mermaid
stateDiagram-v2
{diagram}
```

A cell shows the statuses that the order goes through. `-` means that the event is stored and changes nothing yet,
or that it is a repetition. `!` marks an event that correct services cannot have published in that status: it is
stored, counted (`oms_orders_contradictions_total`), and raises an alert.

{orders}

- *cancel* is `POST /order/{{id}}/cancel`. A CONFIRMED order can be cancelled for `OMS_CANCEL_SECONDS`, which is 0 by
  default. 409 changes nothing.
- *deadline* means that the status has not changed for `OMS_ORDER_DEADLINE_SECONDS`. The reason is then `timed-out`.
- *paymentFailed* means that the card was declined (`payment-declined`), or that the gateway could not be reached or
  would not charge (`payment-unavailable`), which is not the card's fault. Both end the order in the same way.
- The sequence of events does not matter: the same events end in the same status, in whatever order they arrive.

## Refund

{refunds}

- A refund is requested by `POST /order/{{id}}/refund`, for a CONFIRMED order only; for any other it is 409. The
  order stays CONFIRMED, and can no longer be cancelled.
- A cell shows what a later outcome does. Payment numbers outcomes; one that a later one has overtaken changes
  nothing. A refund that succeeded fails when the customer's bank sends the money back; one that failed succeeds
  when an operator has settled it.

## Payment

{payments}

There is no payment before the first event about an order. `orderCreatedEvent` makes a PENDING one. An
`inventoryRejectedEvent` or `orderCancelledEvent` that overtook it makes a REFUNDING one instead, and nothing is ever
charged. If the order is cancelled before a worker has begun the charge, the charge is never made.

## Stock

| the order is | paymentCompleted | orderCancelled |
|---|---|---|
| not known | all of its lines are reserved, or none: inventoryUpdated or inventoryRejected | noted; inventoryReleased |
| allocated | {nothing} | what it holds is released; inventoryReleased |
| rejected | {nothing} | inventoryReleased |
| cancelled | {nothing} | inventoryReleased, again |

An orderRefundRequested with `restock` puts its lines back into stock, once for each refund, and the order holds
that much less.

## Notice

The first of paymentFailed, inventoryUpdated, inventoryRejected and orderCancelled makes the notice of an order,
which is sent by email and SMS. Only orderCancelled after inventoryUpdated makes a second one; if the first has not
been sent by then, it is withdrawn. Each orderRefunded makes a notice of its own.
"""


def page() -> str:
    """Return the page."""
    return TEXT.format(diagram=_diagram(), orders=_orders(), refunds=_refunds(), payments=_payments(), nothing=NOTHING)


def _diagram() -> str:
    arrows: dict[tuple[str, str], list[str]] = {}
    for rule in order.RULES:
        proof = " and ".join("|".join(sorted(facts)) for facts in rule.proof)
        arrows.setdefault((rule.status, rule.next), []).append(proof)
    lines = [f"  {start} --> {end}: {', '.join(proofs)}" for (start, end), proofs in arrows.items()]
    return "\n".join(["  [*] --> PENDING", *lines])


def _orders() -> str:
    headings = ["the order is", *FACTS, "cancel", "deadline"]
    return _table(headings, ([name, *_cells(_order(facts))] for name, facts in ORDERS.items()))


def _cells(one: Order) -> Iterable[str]:
    for fact in FACTS.values():
        after, steps = one.apply([fact])
        shown = _path(steps)
        news = fact not in one.facts and order.contradictory(after.facts)
        yield f"{shown} !" if news else shown
    yield _cancelled(one)
    yield _path(order.time_out(one)[1])


def _order(facts: Iterable[Fact]) -> Order:
    one = Order("o")
    for fact in facts:
        one, _ = one.apply([fact])
    return one


def _cancelled(one: Order) -> str:
    try:
        _, steps = order.cancel(one, 1.0, 0.0)
    except order.TooLate:
        if one.status is Status.CONFIRMED:
            return f"409, or in time {_path(order.cancel(one, 0.0, 1.0)[1])}"
        return "409"
    return _path(steps) if steps else "the same answer"


def _path(steps: Sequence[order.Step]) -> str:
    return " → ".join(step.status for step in steps) or NOTHING


def _refunds() -> str:
    outcomes = {"refundCompleted": RefundStatus.SUCCEEDED, "refundFailed": RefundStatus.FAILED}
    rows = ([before, *(_outcome(before, after) for after in outcomes.values())] for before in RefundStatus)
    return _table(["the refund is", *outcomes], rows)


def _outcome(before: RefundStatus, after: RefundStatus) -> str:
    """Return what a later outcome makes of an earlier one."""
    if before is after or not settled(before, after, 0, 1):
        return NOTHING
    return f"{after}; orderRefunded" if after is RefundStatus.SUCCEEDED else str(after)


def _payments() -> str:
    return _table(
        ["the payment is", *MOVES],
        ([name, *(_moved(one, move(one)) for move in MOVES.values())] for name, one in PAYMENTS.items()),
    )


def _moved(before: Payment, after: Payment | None) -> str:
    if after is None:
        return NOTHING
    if after.state is not before.state:
        events = {State.COMPLETED: "paymentCompleted", State.FAILED: "paymentFailed", State.REFUNDED: "paymentRefunded"}
        return f"{after.state}; {events[after.state]}" if after.state in events else str(after.state)
    return "refund what was charged" if after.charge_id else "nothing to refund"


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> int:
    """Write or check the page. Return the exit code: 1 if it is not up to date (--check)."""
    return generated.keep("scripts.state_machine", __doc__, PAGE, page())


if __name__ == "__main__":
    raise SystemExit(main())
