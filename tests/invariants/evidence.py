"""What the checker looks at, free of whose table it came from. Amounts are in minor units of one currency."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Violation:
    """A broken rule, whose (an order's, an item's, a service's), and what is wrong."""

    rule: str
    subject: str
    detail: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.subject}: {self.detail}"


@dataclass(frozen=True)
class Answer:
    """A 202 that a client got. `email` is there if the client gave each key an address of its own."""

    key: str | None
    order_id: str
    email: str | None = None


@dataclass(frozen=True)
class Unanswered:
    """A client that got no 202, by its address. `in_doubt` means that nobody said no, either: its connection broke, or
    the answer was that the outcome is unknown."""

    email: str
    in_doubt: bool


@dataclass(frozen=True)
class Order:
    """An order with what was ordered of each item, and the statuses that its timeline lists; `phone` is the number that
    its customer can be sent texts at, `price` what its lines cost."""

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
    """A call that the gateway took; money moved if it was approved."""

    order_id: str
    amount: int
    approved: bool
    id: str = ""


@dataclass(frozen=True)
class Refund:
    """Money that the gateway gave back."""

    order_id: str
    amount: int
    id: str = ""


@dataclass(frozen=True)
class Requested:
    """A refund that was asked for of a confirmed order, with what is to be in the stock again. One that has failed may
    have succeeded before, and was announced then."""

    id: str
    order_id: str
    amount: int
    status: str
    restocked: Mapping[str, int] = field(default_factory=dict)
    had_succeeded: bool = False


@dataclass(frozen=True)
class Promised:
    """A refund whose request a client got a 202 for."""

    id: str
    order_id: str
    amount: int


@dataclass(frozen=True)
class Redriven:
    """A dead letter whose event was applied after all, and how often the audit log says that it was; with the first
    letter of the same topic and key, if there is one, that had died before and was not seen to by then."""

    service: str
    letter: int
    times: int
    overtaken: int | None = None


@dataclass(frozen=True)
class Settled:
    """What the payment service's own table says of such a refund."""

    id: str
    order_id: str
    amount: int
    state: str
    reference: str | None


@dataclass(frozen=True)
class Returned:
    """What the inventory says has come back with such a refund."""

    refund_id: str
    order_id: str
    item_id: str
    quantity: int


@dataclass(frozen=True)
class Payment:
    """What the payment service's own table says of an order."""

    order_id: str
    state: str
    amount: int
    charge_id: str | None
    refund_id: str | None


@dataclass(frozen=True)
class Item:
    """An item's stock: what it began with, what was added, what is left, and what the inventory says was ever sold,
    came back from orders, and was corrected by hand; `counted` is the sum of its movements."""

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
    """Stock that an order holds, and what it held before: until it was cancelled, or something of it came back."""

    order_id: str
    item_id: str
    quantity: int
    released: int = 0


@dataclass(frozen=True)
class Notice:
    """A message that reached somebody, and what it says of the order or of a refund of it."""

    order_id: str
    kind: str
    to: str
    says: str


@dataclass(frozen=True)
class Evidence:
    """All that is looked at, of one moment. `keys` is the order of each idempotency key, `None` what was not given.

    With `unanswered`, `answers` and it are all the clients that there were; with `promised`, nobody else asked for a
    refund. `copies` are emails that came once more, `repeats` events that were sent once more.
    """

    orders: Mapping[str, Order]
    charges: Sequence[Charge] = ()
    refunds: Sequence[Refund] = ()
    payments: Sequence[Payment] = ()
    requested: Sequence[Requested] = ()
    promised: Sequence[Promised] | None = None
    settled: Sequence[Settled] = ()
    given: Mapping[str, Sequence[str]] = field(default_factory=dict)  # the gateway's refunds of each that was requested
    noted: Collection[tuple[str, str]] = ()  # orders, and what operators called money that went back by another way
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
    sent_letters: Mapping[str, int] = field(default_factory=dict)  # how many each topic of them has
    expected_dead_letters: Mapping[str, int] = field(default_factory=dict)
    buried: Mapping[str, int] = field(default_factory=dict)  # events that were given up, which poison is not
    allowed_buried: Mapping[str, int] | None = None
    redriven: Sequence[Redriven] = ()
