"""The rules, each a function that returns what is wrong in the evidence. None uses the product's own code."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise

from invariants.evidence import Evidence, Order, Settled, Violation
from invariants.messages import Due

Finding = tuple[str, str]  # the subject, and what is wrong with it
Held = defaultdict[str, Counter[str]]  # quantity of each item, by order
Rule = Callable[[Evidence], Iterable[Finding]]

CONFIRMED, CANCELLED = "CONFIRMED", "CANCELLED"
TERMINAL = {CONFIRMED, CANCELLED}
REASONS = {"payment-declined", "payment-unavailable", "out-of-stock", "customer", "timed-out"}
ERASED = "(erased)"  # the address of an order whose customer is erased
ARROWS = {
    ("PENDING", "PAID"),
    ("PENDING", "CANCELLING"),
    ("PAID", CONFIRMED),
    ("PAID", "CANCELLING"),
    (CONFIRMED, "CANCELLING"),
    ("CANCELLING", CANCELLED),
}
KINDS = ("email", "sms")
# The states in which an order's end leaves its payment, by status and reason.
PAYMENTS = {
    (CONFIRMED, None): {"COMPLETED"},
    (CANCELLED, "payment-declined"): {"FAILED"},
    (CANCELLED, "payment-unavailable"): {"FAILED"},
    (CANCELLED, "out-of-stock"): {"REFUNDED"},
    (CANCELLED, "customer"): {"FAILED", "REFUNDED"},
    (CANCELLED, "timed-out"): {"FAILED", "REFUNDED"},
}


def accepted_orders_are_kept(evidence: Evidence) -> Iterator[Finding]:
    """An order that was answered with 202 exists, and belongs to the client that got the answer."""
    for answer in evidence.answers:
        order = evidence.orders.get(answer.order_id)
        if order is None:
            yield answer.order_id, "was accepted, and is not there"
        elif answer.email and order.email not in {answer.email, ERASED}:
            yield answer.order_id, f"is {order.email}'s, and was accepted for {answer.email}"


def orders_cost_what_their_lines_do(evidence: Evidence) -> Iterator[Finding]:
    """An order's total is the sum of its lines."""
    for order in evidence.orders.values():
        if order.total != order.price:
            yield order.id, f"costs {order.total}, and its lines {order.price}"


def orders_are_terminal(evidence: Evidence) -> Iterator[Finding]:
    """Every order has reached its end."""
    for order in evidence.orders.values():
        if order.status not in TERMINAL:
            yield order.id, f"is {order.status}"


def one_order_per_key(evidence: Evidence) -> Iterator[Finding]:
    """An idempotency key belongs to one order, however often it was sent and whatever was answered."""
    orders: defaultdict[str, set[str]] = defaultdict(set)
    for key, order_id in (*evidence.keys, *((a.key, a.order_id) for a in evidence.answers if a.key)):
        orders[key].add(order_id)
    for key, ids in orders.items():
        if len(ids) > 1:
            yield key, f"belongs to {len(ids)} orders"
    for key, order_id in evidence.keys:
        if order_id not in evidence.orders:
            yield key, "belongs to an order that is not there"
    emails = Counter(order.email for order in evidence.orders.values())
    for email in {answer.email for answer in evidence.answers if answer.email}:
        if emails[email] != 1:
            yield email, f"placed one order, and {emails[email]} are there"


def orders_were_promised(evidence: Evidence) -> Iterator[Finding]:
    """A client that was refused has no order, one that was left in doubt has at most one, and there are no others."""
    if evidence.unanswered is None:
        return
    promised = {answer.order_id for answer in evidence.answers}
    in_doubt = {client.email: client.in_doubt for client in evidence.unanswered}
    others = [order for order in evidence.orders.values() if order.id not in promised]
    orders = Counter(order.email for order in others)
    for order in others:
        if not in_doubt.get(order.email):
            yield order.id, "was refused, and is there" if order.email in in_doubt else "was promised to nobody"
        elif orders[order.email] > 1:
            yield order.id, f"is one of {orders[order.email]} of a client that asked for one"


def one_charge_per_order(evidence: Evidence) -> Iterator[Finding]:
    """No customer pays twice, and nobody pays for an order that does not exist."""
    settled = Counter(charge.order_id for charge in evidence.charges if charge.approved)
    for order_id, count in settled.items():
        if count > 1:
            yield order_id, f"was charged {count} times"
        if order_id not in evidence.orders:
            yield order_id, "was charged, and is not there"


def confirmed_orders_are_paid(evidence: Evidence) -> Iterator[Finding]:
    """CONFIRMED means that the total was paid once, and that nothing was refunded except by request."""
    net, settled = _net(evidence), Counter(charge.order_id for charge in evidence.charges if charge.approved)
    refunded: Counter[str] = Counter()
    for refund in evidence.requested:
        refunded[refund.order_id] += refund.amount if refund.status == "SUCCEEDED" else 0
    asked = {gateway_id for ids in evidence.given.values() for gateway_id in ids}
    asked |= {reference for _, reference in evidence.noted}
    unasked = {refund.order_id for refund in evidence.refunds if refund.id not in asked}
    for order in _with_status(evidence, CONFIRMED):
        due = order.total - refunded[order.id]
        if settled[order.id] != 1 or net.get(order.id, 0) != due or order.id in unasked:
            yield order.id, f"is to cost {due}, paid is {net.get(order.id, 0)} in {settled[order.id]} charges"


def refunds_stay_within_charges(evidence: Evidence) -> Iterator[Finding]:
    """Nobody gets back more than was paid, not even in two different ways."""
    charged, refunded = _charged(evidence), _refunded(evidence) + _elsewhere(evidence)
    for order_id, amount in refunded.items():
        if amount > charged[order_id]:
            yield order_id, f"was charged {charged[order_id]}, and refunded {amount}"


def refunds_are_settled_once(evidence: Evidence) -> Iterator[Finding]:
    """A requested refund is paid once if it has succeeded, by the gateway or as an operator recorded it, and not at all
    if it has failed. The order service, the payment service and the gateway agree about it, and no refund is paid that
    nobody requested."""
    settled = {refund.id: refund for refund in evidence.settled}
    made = {refund.id: (refund.order_id, refund.amount) for refund in evidence.refunds}
    for refund in evidence.requested:
        given, book = list(evidence.given.get(refund.id, ())), settled.get(refund.id)
        noted = [one for one in [book and book.reference] if one and (refund.order_id, one) in evidence.noted]
        if refund.status not in {"SUCCEEDED", "FAILED"}:
            yield refund.id, f"is {refund.status}"
        money = [made.get(one, (refund.order_id, refund.amount)) for one in (*given, *noted)]
        if money != [(refund.order_id, refund.amount)] * (refund.status == "SUCCEEDED"):
            yield refund.id, f"of {refund.amount} is {refund.status}, and was given as {[*given, *noted]}"
        reference = next(iter((*given, *noted)), None)
        if book != Settled(refund.id, refund.order_id, refund.amount, refund.status, reference):
            yield refund.id, f"is {refund.status}, given as {reference}, and payment says {book}"
    for refund_id in {*settled, *evidence.given} - {refund.id for refund in evidence.requested}:
        yield refund_id, "was asked for by nobody"


def refunds_were_promised(evidence: Evidence) -> Iterator[Finding]:
    """A refund that was answered with 202 exists as it was answered, and there are no others."""
    if evidence.promised is None:
        return
    asked = {refund.id: (refund.order_id, refund.amount) for refund in evidence.requested}
    promised = {refund.id: (refund.order_id, refund.amount) for refund in evidence.promised}
    for refund_id in asked.keys() | promised.keys():
        if asked.get(refund_id) != promised.get(refund_id):
            yield refund_id, f"was promised as {promised.get(refund_id)}, and is there as {asked.get(refund_id)}"


def returns_were_asked_for(evidence: Evidence) -> Iterator[Finding]:
    """The returned stock is that of the refunds, once each, and the orders hold that much less."""
    returned: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for one in evidence.returned:
        returned[one.refund_id][one.item_id] = one.quantity
    asked = {refund.id: dict(refund.restocked) for refund in evidence.requested}
    for refund_id in asked.keys() | returned.keys():
        if returned.get(refund_id, {}) != asked.get(refund_id, {}):
            yield refund_id, f"brings back {asked.get(refund_id)}, and {returned.get(refund_id)} came back"
    released, back = (
        _counted((one.order_id, one.item_id, one.released) for one in evidence.allocations),
        _back(evidence),
    )
    for order in _with_status(evidence, CONFIRMED):
        if released[order.id] != back[order.id]:
            yield order.id, f"let go of {dict(released[order.id])}, and {dict(back[order.id])} came back"


def payments_agree(evidence: Evidence) -> Iterator[Finding]:
    """The payment service's own table agrees with the gateway's books and with the order."""
    payments = {payment.order_id: payment for payment in evidence.payments}
    charges = {(charge.order_id, charge.id): charge.amount for charge in evidence.charges if charge.approved}
    refunds = {(refund.order_id, refund.id) for refund in evidence.refunds}
    for order in evidence.orders.values():
        payment = payments.get(order.id)
        expected = PAYMENTS.get((order.status, order.reason), ())
        if order.status in TERMINAL and (payment is None or payment.state not in expected):
            yield order.id, f"is {order.status}, its payment {payment.state if payment else 'is not there'}"
        if payment is not None and payment.amount != order.total:
            yield order.id, f"costs {order.total}, its payment is of {payment.amount}"
    for payment in evidence.payments:
        if payment.order_id not in evidence.orders:
            yield payment.order_id, "has a payment, and is not there"
        if payment.charge_id and charges.get((payment.order_id, payment.charge_id)) != payment.amount:
            yield payment.order_id, f"has a payment by {payment.charge_id}, which the gateway does not have so"
        known = (payment.order_id, payment.refund_id) in refunds | {*evidence.noted}
        if payment.state == "REFUNDED" and payment.charge_id and not known:
            yield payment.order_id, f"has a refund {payment.refund_id}, which the gateway does not have"


def confirmed_orders_have_their_stock(evidence: Evidence) -> Iterator[Finding]:
    """CONFIRMED means that exactly the order's lines were taken from stock, less what was returned."""
    taken, back = _taken(evidence), _back(evidence)
    for order in _with_status(evidence, CONFIRMED):
        if taken[order.id] != Counter(order.lines) - back[order.id]:
            held = dict(taken[order.id])
            yield order.id, f"ordered {dict(order.lines)}, brought back {dict(back[order.id])}, holds {held}"


def cancelled_orders_cost_nothing(evidence: Evidence) -> Iterator[Finding]:
    """CANCELLED means that the customer has got all money back, and knows why."""
    net = _net(evidence)
    for order in _with_status(evidence, CANCELLED):
        if net.get(order.id, 0) != 0:
            yield order.id, f"is cancelled, paid is {net[order.id]}"
        if order.reason not in REASONS:
            yield order.id, f"is cancelled for {order.reason}"


def cancelled_orders_hold_no_stock(evidence: Evidence) -> Iterator[Finding]:
    """A cancelled order, or one that does not exist, holds no stock: others can buy the items."""
    for order_id, taken in _taken(evidence).items():
        order = evidence.orders.get(order_id)
        if order is None or order.status == CANCELLED:
            yield order_id, f"holds {dict(taken)}"


def stock_adds_up(evidence: Evidence) -> Iterator[Finding]:
    """Initial and added stock together equal what is left and what confirmed orders bought and did not return."""
    sold: Counter[str] = Counter()
    back = _back(evidence)
    released: Counter[str] = Counter()
    for allocation in evidence.allocations:
        released[allocation.item_id] += allocation.released
    for order in _with_status(evidence, CONFIRMED):
        sold.update(Counter(order.lines) - back[order.id])
    for item in evidence.items:
        expected = item.initial + item.restocked + item.corrected - sold[item.id]
        if item.on_hand != expected or item.on_hand < 0:
            yield item.id, f"has {item.on_hand}, and should have {expected}"
        if item.sold - item.released != sold[item.id]:
            yield item.id, f"sold {item.sold - item.released} as its books say, and {sold[item.id]} as the orders do"
        if item.released != released[item.id]:
            yield item.id, f"has {item.released} back as its books say, and {released[item.id]} as the reservations do"


def stock_is_what_its_movements_come_to(evidence: Evidence) -> Iterator[Finding]:
    """The movements of an item add up to its stock."""
    for item in evidence.items:
        if item.counted is not None and item.counted != item.on_hand:
            yield item.id, f"has {item.on_hand}, and its movements come to {item.counted}"


def customers_are_notified_once(evidence: Evidence) -> Iterator[Finding]:
    """One email and one SMS say how each order ended, and another one of each reports every refund that has ever
    succeeded. There are no others.

    An order that was cancelled after it had its stock may have been confirmed to its customer before.
    """
    if evidence.notices is None:
        return
    had_stock = {allocation.order_id for allocation in evidence.allocations if allocation.released}
    announced = [one for one in evidence.requested if one.status == "SUCCEEDED" or one.had_succeeded]
    refunds = Counter(refund.order_id for refund in announced)
    received: Held = defaultdict(Counter)
    for notice in evidence.notices:
        received[f"{notice.kind} {notice.order_id}"][notice.says] += 1
    for order in evidence.orders.values():
        due = Due.of(
            has_ended=order.status in TERMINAL,
            reason=order.reason,
            had_stock=order.id in had_stock,
            refunds=refunds[order.id],
        )
        for kind in KINDS:
            got = received[f"{kind} {order.id}"]
            if not due.is_met(got):
                yield order.id, f"is {order.status} ({order.reason}), and got {kind}: {dict(got) or 'none'}"
    for order_id in {notice.order_id for notice in evidence.notices} - evidence.orders.keys():
        yield order_id, "was written about, and is not there"


def messages_reach_their_customers(evidence: Evidence) -> Iterator[Finding]:
    """Messages about an order go to the address and the number that it was placed with, until these are erased."""
    for notice in evidence.notices or ():
        order = evidence.orders.get(notice.order_id)
        addresses = {"email": order.email, "sms": order.phone} if order and order.email != ERASED else {}
        to = addresses.get(notice.kind)
        if to is not None and notice.to.casefold() != to.casefold():
            yield notice.order_id, f"is {to}'s, and {notice.to} got the {notice.kind} about it"


def emails_are_not_repeated(evidence: Evidence) -> Iterator[Finding]:
    """No email arrives twice, except for as many as a fault of the mail server may have left in doubt."""
    if (
        evidence.copies is not None
        and evidence.allowed_copies is not None
        and evidence.copies > evidence.allowed_copies
    ):
        yield "email", f"{evidence.copies} emails came once more, {evidence.allowed_copies} may have"


def events_are_sent_once(evidence: Evidence) -> Iterator[Finding]:
    """No event is sent twice, unless a relay failed in the middle of sending."""
    if evidence.repeats:
        yield "events", f"{evidence.repeats} were sent once more"


def outboxes_are_empty(evidence: Evidence) -> Iterator[Finding]:
    """Every event has been published to the other services."""
    yield from ((service, f"{count} events wait") for service, count in evidence.outboxes.items() if count)


def jobs_are_done(evidence: Evidence) -> Iterator[Finding]:
    """No outside call is left to be made."""
    yield from ((service, f"{count} jobs wait") for service, count in evidence.jobs.items() if count)


def dead_letters_are_the_expected_ones(evidence: Evidence) -> Iterator[Finding]:
    """Nothing was given up on except the poison that a test sent, and events that operators have redriven since."""
    if evidence.dead_letters is None:
        return
    redriven = Counter(one.service for one in evidence.redriven)
    for service in sorted({*evidence.dead_letters, *evidence.expected_dead_letters}):
        found = evidence.dead_letters.get(service, 0) - redriven[service]
        expected = evidence.expected_dead_letters.get(service, 0)
        if found != expected:
            yield service, f"has {found} dead letters, expected are {expected}"
        made, sent = evidence.dead_letters.get(service, 0), evidence.sent_letters.get(service, 0)
        if sent < made:
            yield service, f"has sent {sent} of {made} dead letters"


def only_poison_is_given_up(evidence: Evidence) -> Iterator[Finding]:
    """No event is among the dead letters, even if as many records of poison are missing there."""
    if evidence.allowed_buried is None:
        return
    for service, count in evidence.buried.items():
        if count > evidence.allowed_buried.get(service, 0):
            yield service, f"has given up {count} events, {evidence.allowed_buried.get(service, 0)} may be"


def dead_letters_are_redriven_once(evidence: Evidence) -> Iterator[Finding]:
    """The event of a letter is applied once, however often this is requested, and the audit log says by whom."""
    for one in evidence.redriven:
        if one.times != 1:
            yield f"{one.service} {one.letter}", f"was redriven {one.times} times, as the audit log has it"


def dead_letters_are_redriven_in_order(evidence: Evidence) -> Iterator[Finding]:
    """The event of a letter is applied after the earlier letters of its key were applied or given up on."""
    for one in evidence.redriven:
        if one.overtaken is not None:
            yield f"{one.service} {one.letter}", f"was redriven before letter {one.overtaken} of the same key"


def transitions_are_legal(evidence: Evidence) -> Iterator[Finding]:
    """A timeline begins with PENDING, follows the arrows, and ends with the order's status."""
    for order in evidence.orders.values():
        steps = list(order.timeline)
        if steps[:1] != ["PENDING"] or steps[-1] != order.status or not ARROWS.issuperset(pairwise(steps)):
            yield order.id, f"is {order.status} by way of {' > '.join(steps) or 'nothing'}"


RULES: Mapping[str, Rule] = {
    rule.__name__.replace("_", "-"): rule
    for rule in (
        accepted_orders_are_kept,
        orders_cost_what_their_lines_do,
        orders_are_terminal,
        one_order_per_key,
        orders_were_promised,
        one_charge_per_order,
        confirmed_orders_are_paid,
        refunds_stay_within_charges,
        refunds_are_settled_once,
        refunds_were_promised,
        payments_agree,
        confirmed_orders_have_their_stock,
        cancelled_orders_cost_nothing,
        cancelled_orders_hold_no_stock,
        stock_adds_up,
        stock_is_what_its_movements_come_to,
        returns_were_asked_for,
        customers_are_notified_once,
        messages_reach_their_customers,
        emails_are_not_repeated,
        events_are_sent_once,
        outboxes_are_empty,
        jobs_are_done,
        dead_letters_are_the_expected_ones,
        only_poison_is_given_up,
        dead_letters_are_redriven_once,
        dead_letters_are_redriven_in_order,
        transitions_are_legal,
    )
}


def violations(evidence: Evidence) -> list[Violation]:
    """Return everything that is wrong; an empty list if nothing is."""
    return [Violation(name, subject, detail) for name, rule in RULES.items() for subject, detail in rule(evidence)]


def _with_status(evidence: Evidence, status: str) -> Iterator[Order]:
    return (order for order in evidence.orders.values() if order.status == status)


def _net(evidence: Evidence) -> dict[str, int]:
    net = _charged(evidence)
    net.subtract(_refunded(evidence))
    net.subtract(_elsewhere(evidence))
    return dict(net)


def _elsewhere(evidence: Evidence) -> Counter[str]:
    """Return the money that was refunded without the gateway's knowledge, as operators recorded it."""
    of_gateway, back = {refund.id for refund in evidence.refunds}, Counter[str]()
    known = [(one.order_id, one.reference, one.amount) for one in evidence.settled if one.state == "SUCCEEDED"]
    known += [(one.order_id, one.refund_id, one.amount) for one in evidence.payments if one.state == "REFUNDED"]
    for order_id, reference, amount in known:
        if (order_id, reference) in evidence.noted and reference not in of_gateway:
            back[order_id] += amount
    return back


def _charged(evidence: Evidence) -> Counter[str]:
    charged: Counter[str] = Counter()
    for charge in evidence.charges:
        charged[charge.order_id] += charge.amount if charge.approved else 0
    return charged


def _refunded(evidence: Evidence) -> Counter[str]:
    refunded: Counter[str] = Counter()
    for refund in evidence.refunds:
        refunded[refund.order_id] += refund.amount
    return refunded


def _back(evidence: Evidence) -> Held:
    """Return the stock that was returned, by order."""
    return _counted((one.order_id, one.item_id, one.quantity) for one in evidence.returned)


def _taken(evidence: Evidence) -> Held:
    """Return the stock that orders hold."""
    return _counted((one.order_id, one.item_id, one.quantity) for one in evidence.allocations)


def _counted(rows: Iterable[tuple[str, str, int]]) -> Held:
    """Return the quantity of each item, by order, without entries of zero."""
    counted: Held = defaultdict(Counter)
    for order_id, item_id, quantity in rows:
        if quantity:
            counted[order_id][item_id] += quantity
    return counted
