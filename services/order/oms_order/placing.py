"""From a valid body to an accepted order: prices, the card's token, the idempotency key, and one place in a batch."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.exc import SQLAlchemyError

from oms_chassis.http.groupcommit import Full, GroupCommit, NotWritten
from oms_chassis.http.problems import OutcomeUnknown, Problem, Unavailable
from oms_chassis.telemetry import tracing
from oms_contracts.events import Customer, Line, OrderCreated, PaymentMethod
from oms_contracts.topics import ORDER_CREATED
from oms_gateway.cards import Card, Token
from oms_gateway.contract import Tokeniser
from oms_gateway.errors import CardRefused
from oms_order import idempotency, ids, phones
from oms_order.backpressure import Backpressure
from oms_order.catalogue import Catalogue, CatalogueItem
from oms_order.domain import Status
from oms_order.fingerprints import Fingerprint
from oms_order.idempotency import ANONYMOUS, InFlight
from oms_order.problems import (
    Busy,
    CardNotAccepted,
    DuplicateItem,
    IdempotencyKeyRequired,
    IdempotencyKeyReused,
    MixedCurrencies,
    TotalTooLarge,
    UnknownItem,
)
from oms_order.repository.placing import Placement, Stored, Unresolved, Writer
from oms_order.schemas import Accepted, OrderBody, PaymentBody
from oms_order.settings import OrderSettings

MAX_TOTAL = 10**15  # minor units: far beyond any order, far below what a bigint holds
_CARD_FIELDS = {"number": "cardNumber", "cvv": "cvv", "expiry": "expiryDate"}


@dataclass(frozen=True)
class Answer:
    """What the caller gets. `replayed` means: it is the answer to an earlier request with the same key."""

    order_id: str
    body: str
    replayed: bool


class Placing:
    """Takes orders. One per process: it owns the thread that writes them."""

    def __init__(
        self,
        settings: OrderSettings,
        writer: Writer,
        catalogue: Catalogue,
        tokeniser: Tokeniser,
        backpressure: Backpressure,
    ) -> None:
        self._settings, self._writer = settings, writer
        self._catalogue, self._tokeniser, self._backpressure = catalogue, tokeniser, backpressure
        self.group: GroupCommit[Placement, Stored] = GroupCommit(
            "orders", writer.write, settings.queue_limit, settings.queue_seconds
        )
        self._in_flight = InFlight()

    async def place(self, body: OrderBody, key: str | None) -> Answer:
        """Accept an order, or give the answer that its key got before.

        Raises Problem; then nothing was stored, unless its kind is outcome-unknown.
        """
        if key is None:
            if self._settings.require_idempotency_key:
                raise IdempotencyKeyRequired((idempotency.HEADER, "is required"))
            return await self._accept(body, None, None)
        idempotency.check(key)
        fingerprint = Fingerprint(body, self._settings.fingerprint_keys)
        with self._in_flight.hold(ANONYMOUS, key):
            try:
                return await self._accept(body, key, fingerprint)
            except Problem as problem:
                # What is refused now may have been accepted the first time, when there was room, or another price.
                if earlier := await self._earlier(key, problem):
                    return _replay(earlier, fingerprint)
                raise

    async def _earlier(self, key: str, problem: Problem) -> Stored | None:
        try:
            return await self._writer.find(key)
        except SQLAlchemyError:
            if problem.status == 503:
                raise problem from None  # it says more than that the database is away
            raise

    async def _accept(self, body: OrderBody, key: str | None, fingerprint: Fingerprint | None) -> Answer:
        self._backpressure.check()
        lines = _lines(body, await self._catalogue.find({item.id for item in body.items}))
        placement = self._placement(body, lines, key, fingerprint.value if fingerprint else None)
        stored = await self._write(placement)
        if stored.order_id == placement.order_id:
            return Answer(placement.order_id, placement.answer, replayed=False)
        return _replay(stored, fingerprint)

    async def _write(self, placement: Placement) -> Stored:
        try:
            return await self.group.submit(placement)
        except Unresolved:
            raise OutcomeUnknown(f"/order/{placement.order_id}", may_repeat=placement.key is not None) from None
        except Full:
            raise Busy from None
        except NotWritten:
            raise Unavailable from None

    def _placement(
        self, body: OrderBody, lines: list[tuple[CatalogueItem, int]], key: str | None, fingerprint: str | None
    ) -> Placement:
        order_id, placed_at = str(ids.new_id()), datetime.now(UTC)
        created = OrderCreated(
            order_id=order_id,
            customer=self._customer(body),
            lines=[
                Line(item_id=item.id, name=item.name, quantity=quantity, unit_price=item.unit_price)
                for item, quantity in lines
            ],
            total=_total(lines),
            currency=lines[0][0].currency,
            payment=_method(self._tokenise(body.payment_details)),
            placed_at=placed_at,
        )
        event = ORDER_CREATED.event(created, order_id, tracing.current())
        answer = Accepted(
            id=order_id, status=Status.PENDING, total=created.total, currency=created.currency, placed_at=placed_at
        )
        return Placement(order_row(created), created.lines, event.encode(), answer.model_dump_json(), key, fingerprint)

    def _customer(self, body: OrderBody) -> Customer:
        customer = body.customer
        phone = phones.e164(customer.phone_number, self._settings.default_region)
        return Customer(name=customer.name, email=customer.email, phone_number=customer.phone_number, phone_e164=phone)

    def _tokenise(self, payment: PaymentBody) -> Token:
        # The simulator computes its tokens; a tokeniser that calls out will want a thread here.
        try:
            return self._tokeniser.tokenise(Card(payment.card_number, payment.cvv, payment.expiry_date))
        except CardRefused as error:
            field = f"paymentDetails.{_CARD_FIELDS.get(error.field, 'cardNumber')}"
            raise CardNotAccepted((field, error.message)) from None


def order_row(created: OrderCreated) -> dict[str, object]:
    """An order's columns at its beginning: what the event says of it."""
    customer, payment = created.customer, created.payment
    return {
        "id": created.order_id,
        "name": customer.name,
        "email": customer.email,
        "phone": customer.phone_number,
        "phone_e164": customer.phone_e164,
        "card_token": payment.token,
        "card_brand": payment.brand,
        "card_last4": payment.last4,
        "card_expiry": payment.expiry,
        "total": created.total,
        "currency": created.currency,
        "placed_at": created.placed_at,
    }


def _method(token: Token) -> PaymentMethod:
    return PaymentMethod(token=token.token, brand=token.brand, last4=token.last4, expiry=token.expiry)


def _lines(body: OrderBody, known: Mapping[str, CatalogueItem]) -> list[tuple[CatalogueItem, int]]:
    """Each line's item and quantity. Raises DuplicateItem or UnknownItem."""
    positions: dict[str, int] = {}
    for position, item in enumerate(body.items):
        if positions.setdefault(item.id, position) != position:
            raise DuplicateItem((f"items[{position}].id", "is already in the order"))
    unknown = [f"items[{position}].id" for id_, position in positions.items() if id_ not in known]
    if unknown:
        raise UnknownItem(*((field, "is not an item") for field in unknown))
    return [(known[item.id], item.quantity) for item in body.items]


def _total(lines: list[tuple[CatalogueItem, int]]) -> int:
    total = sum(item.unit_price * quantity for item, quantity in lines)
    if total > MAX_TOTAL:
        raise TotalTooLarge(("items", "come to more than can be charged"))
    for position, (item, _) in enumerate(lines):
        if item.currency != lines[0][0].currency:
            raise MixedCurrencies((f"items[{position}].id", "differs"))
    return total


def _replay(earlier: Stored, fingerprint: Fingerprint | None) -> Answer:
    if fingerprint is None or not fingerprint.matches(earlier.fingerprint):
        raise IdempotencyKeyReused
    return Answer(earlier.order_id, earlier.answer, replayed=True)
