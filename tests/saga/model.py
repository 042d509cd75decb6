"""A model of the saga in memory: the services' own decisions, connected by a network that delays, repeats and reorders.

Databases, brokers and the gateway are dictionaries here. The decisions are those of the services' domain modules; the
model only calls them, like the services' handlers.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from oms_contracts import topics
from oms_contracts.topics import Topic
from oms_inventory.domain import Demand, decide
from oms_notifications.messages import FOLLOWS, Kind
from oms_order import domain as orders
from oms_order import refunds as refund_rules
from oms_order.domain import Fact, Order, Step
from oms_order.refunds import EarlierRefund, OrderedLine, RefundStatus
from oms_payment.domain import NOT_CHARGED, Charged, Outcome, Payment, RefundState, State, refusal

ITEM, PRICE = "Item1", 100
FACTS = {
    topics.PAYMENT_COMPLETED: Fact.PAID,
    topics.PAYMENT_FAILED: Fact.DECLINED,
    topics.INVENTORY_UPDATED: Fact.STOCK_RESERVED,
    topics.INVENTORY_REJECTED: Fact.STOCK_REJECTED,
    topics.PAYMENT_REFUNDED: Fact.REFUNDED,
    topics.INVENTORY_RELEASED: Fact.STOCK_RELEASED,
}
ENDINGS = {
    topics.INVENTORY_UPDATED: Kind.CONFIRMED,
    topics.PAYMENT_FAILED: Kind.DECLINED,
    topics.INVENTORY_REJECTED: Kind.OUT_OF_STOCK,
    topics.ORDER_CANCELLED: Kind.CANCELLED,
}


@dataclass(frozen=True, order=True)
class Message:
    """An event on its way to one reader. `number` is its id, by which the reader's inbox recognises duplicates."""

    number: int
    topic: str
    reader: str
    order: str
    refund: str = ""
    outcome: int = 0  # the number of this outcome among those of the refund


@dataclass
class Refund:
    """A requested refund of a confirmed order, as order, payment and inventory know it."""

    order: str
    amount: int
    is_return: bool
    status: RefundStatus = RefundStatus.PENDING
    state: RefundState | None = None
    outcomes: int = 0  # outcomes that payment has published
    known: int = 0  # the last of them that the order service knows
    is_back: bool = False
    notices: int = 0


def _beginning() -> list[str]:
    return ["PENDING"]


@dataclass
class World:
    """All services, and the outside world."""

    initial: int
    declined_cards: set[str] = field(default_factory=set)
    network: list[Message] = field(default_factory=list)
    inboxes: set[tuple[str, int]] = field(default_factory=set)
    events: int = 0
    orders: dict[str, Order] = field(default_factory=dict)
    steps: dict[str, list[str]] = field(default_factory=lambda: defaultdict(_beginning))
    payments: dict[str, Payment] = field(default_factory=dict)
    charge_jobs: dict[str, bool] = field(default_factory=dict)  # whether a worker has claimed it
    refund_jobs: set[str] = field(default_factory=set)
    charges: dict[str, bool] = field(default_factory=dict)  # charges at the gateway, one per key: approved or not
    refunds: Counter[str] = field(default_factory=Counter)
    allocations: dict[str, bool] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    released: Counter[str] = field(default_factory=Counter)
    messages: dict[str, Kind] = field(default_factory=dict)
    sent: dict[str, list[Kind]] = field(default_factory=lambda: defaultdict(list))
    on_hand: int = 0
    requested: dict[str, Refund] = field(default_factory=dict)
    requested_jobs: set[str] = field(default_factory=set)
    given: Counter[str] = field(default_factory=Counter)  # refunds by the gateway, for requested ones

    def __post_init__(self) -> None:
        self.on_hand = self.initial

    def is_at_rest(self) -> bool:
        """Whether nothing is under way."""
        return not (self.network or self.charge_jobs or self.refund_jobs or self.requested_jobs)

    def come_to_rest(self) -> None:
        """Deliver all messages, and do all work."""
        while not self.is_at_rest():
            for message in list(self.network):
                self.deliver(message, again=False)
            for order in list(self.charge_jobs):
                self.charge(order, dies=False)
            for order in list(self.refund_jobs):
                self.refund(order)
            for refund in list(self.requested_jobs):
                self.make_refund(refund)

    # Actions of customers and clocks.

    def place(self, order: str, *, is_declined: bool) -> None:
        self.orders[order] = Order(order)
        if is_declined:
            self.declined_cards.add(order)
        self.publish(topics.ORDER_CREATED, order)

    def cancel(self, order: str, *, window: float) -> bool:
        """Cancel an order. Return whether it was in time."""
        try:
            after, steps = orders.cancel(self.orders[order], 0.5, self.window(order, window))
        except orders.TooLate:
            return False
        self._end(after, steps)
        return True

    def window(self, order: str, window: float) -> float:
        """Return for how long a confirmed order can be cancelled."""
        return 0.0 if self.refunds_of(order) else window

    def ask_refund(self, order: str, amount: int) -> bool:
        """Let an operator refund the one piece, which was returned, or less. Return whether that is accepted."""
        is_return = amount == PRICE
        try:
            purchase = self._purchase(order)
            purchase.check()
            purchase.limit(purchase.price([(ITEM, 1)]) if is_return else amount)
        except (refund_rules.NotRefundable, refund_rules.WrongLines, refund_rules.MoreThanRemains):
            return False
        name = f"{order}{len(self.requested)}"
        self.requested[name] = Refund(order, amount, is_return)
        self.publish(topics.ORDER_REFUND_REQUESTED, order, name)
        return True

    def refunds_of(self, order: str) -> list[Refund]:
        return [one for one in self.requested.values() if one.order == order]

    def _purchase(self, order: str) -> refund_rules.Purchase:
        known = [
            EarlierRefund(one.amount, one.status, {ITEM: 1} if one.is_return else {}) for one in self.refunds_of(order)
        ]
        return refund_rules.Purchase(self.orders[order], PRICE, [OrderedLine(ITEM, ITEM, 1, PRICE)], known)

    def time_out(self, order: str) -> None:
        self._end(*orders.time_out(self.orders[order]))

    def _end(self, order: Order, steps: list[Step]) -> None:
        self._move(order, steps)
        if steps:
            self.publish(topics.ORDER_CANCELLED, order.id)

    # The network.

    def publish(self, topic: Topic, order: str, refund: str = "", outcome: int = 0) -> None:
        self.events += 1
        self.network += [
            Message(self.events, topic.name, reader, order, refund, outcome)
            for reader in sorted(topic.read_by - {"email"})
        ]

    def deliver(self, message: Message, *, again: bool) -> None:
        """Deliver a message; with `again`, it stays on its way, as after a crash before the offsets are committed."""
        if not again:
            self.network.remove(message)
        if (message.reader, message.number) in self.inboxes:
            return
        self.inboxes.add((message.reader, message.number))
        topic = next(one for one in topics.TOPICS if one.name == message.topic)
        if message.refund:
            getattr(self, f"_{message.reader}_refund")(topic, message)
        else:
            getattr(self, f"_{message.reader}")(topic, message.order)

    # The services.

    def _order(self, topic: Topic, order: str) -> None:
        self._move(*self.orders[order].apply([FACTS[topic]]))

    def _move(self, order: Order, steps: list[Step]) -> None:
        self.orders[order.id] = order
        self.steps[order.id] += [str(step.status) for step in steps]

    def _payment(self, topic: Topic, order: str) -> None:
        known = self.payments.get(order)
        if topic is topics.ORDER_CREATED:
            if self.is_new(known):
                self.payments[order] = Payment(order, State.PENDING)
                self.charge_jobs[order] = False
        elif known is None:
            self.payments[order] = Payment(order, State.REFUNDING)
            self.refund_jobs.add(order)
        elif (after := known.rejected()) is not None:
            self.payments[order] = after
            if after.charge_id is not None or self.charge_jobs.get(order) is False:
                self.charge_jobs.pop(order, None)
                self.refund_jobs.add(order)

    def is_new(self, known: Payment | None) -> bool:
        """Whether an order that arrives must be charged."""
        return known is None

    def charge(self, order: str, *, dies: bool) -> None:
        """Let a worker claim the charge and call the gateway; it may die before it writes the outcome."""
        self.charge_jobs[order] = True
        approved = self.charges.setdefault(order, order not in self.declined_cards)
        if dies:
            return
        del self.charge_jobs[order]
        outcome = Outcome(approved, "charge", None if approved else "card-declined")
        after = self.payments[order].charged(outcome)
        if after is None:
            return
        self.payments[order] = after
        if after.state is State.REFUNDING:
            self.refund_jobs.add(order)
        else:
            self.publish(topics.PAYMENT_COMPLETED if approved else topics.PAYMENT_FAILED, order)

    def refund(self, order: str) -> None:
        """Let a worker refund a charge, or close the key of one that was not made."""
        self.refund_jobs.remove(order)
        approved = self.charges.setdefault(order, False)
        if approved:
            self.refunds[order] = 1  # at most one, because of the key
        after = self.payments[order].refunded("refund" if approved else NOT_CHARGED)
        if after is not None:
            self.payments[order] = after
            self.publish(topics.PAYMENT_REFUNDED, order)

    def _payment_refund(self, _: Topic, message: Message) -> None:
        one = self.requested[message.refund]
        if one.state is None:
            self._begin_refund(message.refund)

    def _begin_refund(self, name: str) -> None:
        one = self.requested[name]
        before = [other for other in self.refunds_of(one.order) if other.state not in (None, RefundState.FAILED)]
        given = sum(other.amount for other in before)
        if refusal(Charged(self.payments[one.order].state, PRICE, "USD", given), one.amount, "USD") is None:
            one.state = RefundState.PENDING
            self.requested_jobs.add(name)
        else:
            self._settle(name, RefundState.FAILED)

    def make_refund(self, name: str) -> None:
        """Let a worker make a requested refund; the gateway never refunds more than was charged."""
        self.requested_jobs.remove(name)
        self.given[self.requested[name].order] += self.requested[name].amount
        self._settle(name, RefundState.SUCCEEDED)

    def send_back(self, name: str) -> None:
        """Let the customer's bank return the refunded money."""
        one = self.requested[name]
        if one.state is RefundState.SUCCEEDED:
            self.given[one.order] -= one.amount
            self._settle(name, RefundState.FAILED)

    def retry_refund(self, name: str) -> None:
        """Let an operator repeat a failed refund, if enough money is left."""
        if self.requested[name].state is RefundState.FAILED:
            self._begin_refund(name)

    def _settle(self, name: str, state: RefundState) -> None:
        one = self.requested[name]
        one.state = state
        one.outcomes += 1
        topic = topics.REFUND_COMPLETED if state is RefundState.SUCCEEDED else topics.REFUND_FAILED
        self.publish(topic, one.order, name, one.outcomes)

    def _order_refund(self, topic: Topic, message: Message) -> None:
        one = self.requested[message.refund]
        status = RefundStatus.SUCCEEDED if topic is topics.REFUND_COMPLETED else RefundStatus.FAILED
        if refund_rules.settled(one.status, status, one.known, message.outcome):
            one.status, one.known = status, message.outcome
            if status is RefundStatus.SUCCEEDED:
                self.publish(topics.ORDER_REFUNDED, one.order, message.refund)

    def _inventory_refund(self, _: Topic, message: Message) -> None:
        one = self.requested[message.refund]
        if one.is_return and not one.is_back:
            one.is_back = True
            self.on_hand += self.held.pop(one.order)

    def _sms_refund(self, _: Topic, message: Message) -> None:
        self.requested[message.refund].notices = 1  # at most one, because of the refund's id

    def _inventory(self, topic: Topic, order: str) -> None:
        if topic is topics.ORDER_CANCELLED:
            self.allocations.setdefault(order, False)
            released = self.held.pop(order, 0)
            self.on_hand += released
            self.released[order] += released
            self.publish(topics.INVENTORY_RELEASED, order)
        elif self.is_undecided(order):
            (decision,) = decide({ITEM: self.on_hand}, [Demand(order, {ITEM: 1})])
            self.allocations[order] = decision.is_allocated
            if decision.is_allocated:
                self.on_hand -= 1
                self.held[order] = 1
            self.publish(topics.INVENTORY_UPDATED if decision.is_allocated else topics.INVENTORY_REJECTED, order)

    def is_undecided(self, order: str) -> bool:
        """Whether the stock of a paid order is still undecided."""
        return order not in self.allocations

    def _sms(self, topic: Topic, order: str) -> None:
        kind, known = ENDINGS[topic], self.messages.get(order)
        if known is None or FOLLOWS.get(kind) is known:
            self.messages[order] = kind
            self.sent[order].append(kind)
