"""The data that the checker examines, independent of the tables that it came from. Amounts are in minor units."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Violation:
    """A violated rule, its subject (an order, an item or a service), and what is wrong."""

    rule: str
    subject: str
    detail: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.subject}: {self.detail}"


@dataclass(frozen=True)
class Answer:
    """A 202 that a client got. `email` is set if the client used a different address for each key."""

    key: str | None
    order_id: str
    email: str | None = None


@dataclass(frozen=True)
class Unanswered:
    """A client that got no 202, by its address. `in_doubt` means that it was not refused either: its connection broke,
    or it was answered that the outcome is unknown."""

    email: str
    in_doubt: bool


@dataclass(frozen=True)
class Order:
    """An order with the ordered quantity of each item, and the statuses in its timeline. `phone` is the number to which
    SMS for its customer are sent, `price` the sum of its lines."""

    id: str
    status: str
    reason: str | None
    total: int
    email: str
    lines: Mapping[str, int]
    timeline: Sequence[str]
    phone: str | None
    price: int


@dataclass(frozen=True)
class Charge:
    """A charge that the gateway received; money moved if it was approved."""

    order_id: str
    amount: int
    approved: bool
    id: str = ""


@dataclass(frozen=True)
class Refund:
    """Money that the gateway refunded."""

    order_id: str
    amount: int
    id: str = ""


@dataclass(frozen=True)
class Requested:
    """A requested refund of a confirmed order, with the quantities that return to stock. One that has failed may have
    succeeded before, and was announced then."""

    id: str
    order_id: str
    amount: int
    status: str
    restocked: Mapping[str, int] = field(default_factory=dict)
    had_succeeded: bool = False


@dataclass(frozen=True)
class Promised:
    """A refund whose request was answered with 202."""

    id: str
    order_id: str
    amount: int


@dataclass(frozen=True)
class Redriven:
    """A dead letter whose event was applied after all, with how often the audit log says so, and the first earlier
    letter of the same topic and key, if any, that had not been dealt with by then."""

    service: str
    letter: int
    times: int
    overtaken: int | None = None


@dataclass(frozen=True)
class Settled:
    """Such a refund in the payment service's own table."""

    id: str
    order_id: str
    amount: int
    state: str
    reference: str | None


@dataclass(frozen=True)
class Returned:
    """The stock that, according to the inventory, such a refund returned."""

    refund_id: str
    order_id: str
    item_id: str
    quantity: int


@dataclass(frozen=True)
class Payment:
    """The payment of an order in the payment service's own table."""

    order_id: str
    state: str
    amount: int
    charge_id: str | None
    refund_id: str | None


@dataclass(frozen=True)
class Item:
    """An item's stock: the initial stock, what was added and what is left; and, according to the inventory, what was
    ever sold, returned from orders, and corrected by hand. `counted` is the sum of its movements."""

    id: str
    initial: int
    restocked: int
    on_hand: int
    sold: int
    released: int = 0
    corrected: int = 0
    counted: int | None = None


@dataclass(frozen=True)
class Allocation:
    """Stock that an order holds, and what it held before it was cancelled or some of it was returned."""

    order_id: str
    item_id: str
    quantity: int
    released: int = 0


@dataclass(frozen=True)
class Notice:
    """A message that was delivered, and what it says about the order or a refund of it."""

    order_id: str
    kind: str
    to: str
    says: str


@dataclass(frozen=True)
class Evidence:
    """Everything that is examined, as it was at one moment. `keys` has the order of each idempotency key; `None` is
    evidence that was not given.

    If `unanswered` is given, `answers` and it are all clients that there were; if `promised` is, nobody else requested
    a refund. `copies` are emails that arrived again, `repeats` events that were sent again.
    """

    orders: Mapping[str, Order]
    charges: Sequence[Charge] = ()
    refunds: Sequence[Refund] = ()
    payments: Sequence[Payment] = ()
    requested: Sequence[Requested] = ()
    promised: Sequence[Promised] | None = None
    settled: Sequence[Settled] = ()
    given: Mapping[str, Sequence[str]] = field(default_factory=dict)  # the gateway's refunds for each requested one
    noted: Collection[
        tuple[str, str]
    ] = ()  # orders, with the operators' references of money that was refunded by other means
    returned: Sequence[Returned] = ()
    items: Sequence[Item] = ()
    allocations: Sequence[Allocation] = ()
    notices: Sequence[Notice] | None = None
    keys: Sequence[tuple[str, str]] = ()
    answers: Sequence[Answer] = ()
    unanswered: Sequence[Unanswered] | None = None
    copies: int | None = None
    allowed_copies: int | None = None
    repeats: int = 0
    outboxes: Mapping[str, int] = field(default_factory=dict)
    jobs: Mapping[str, int] = field(default_factory=dict)
    dead_letters: Mapping[str, int] | None = None
    sent_letters: Mapping[str, int] = field(default_factory=dict)  # how many each dead-letter topic has
    expected_dead_letters: Mapping[str, int] = field(default_factory=dict)
    buried: Mapping[str, int] = field(default_factory=dict)  # events that were given up on, without poison
    allowed_buried: Mapping[str, int] | None = None
    redriven: Sequence[Redriven] = ()
