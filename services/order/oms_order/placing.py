"""Turns a valid request into an accepted order: prices it, tokenises the card, and submits it for group commit."""

from collections.abc import Mapping
from datetime import UTC, datetime

from sqlalchemy.exc import SQLAlchemyError

from oms_chassis.db import Database
from oms_chassis.http.deadlines import Deadline, Disconnected, within
from oms_chassis.http.groupcommit import Full, GroupCommit, NotWritten, Undecided
from oms_chassis.http.identity.callers import Caller
from oms_chassis.http.problems import OutcomeUnknown, Problem, Unavailable
from oms_chassis.telemetry import tracing
from oms_contracts.events import OrderCreated
from oms_contracts.ids import new_id
from oms_contracts.parts import Customer, Line
from oms_contracts.topics import ORDER_CREATED
from oms_gateway.cards import Card, Token
from oms_gateway.contract import Tokeniser
from oms_gateway.errors import CardRefused
from oms_order import contents, idempotency, phones, pricing
from oms_order.backpressure import Backpressure
from oms_order.catalogue import Catalogue, CatalogueItem
from oms_order.domain import Status
from oms_order.fingerprints import Fingerprint
from oms_order.idempotency import Answer, InFlight, Origin
from oms_order.problems import (
    Busy,
    CardNotAccepted,
    IdempotencyKeyRequired,
    IdempotencyKeyReused,
)
from oms_order.repository.placing import Placement, Stored, Unresolved, Writer, find
from oms_order.schemas import Accepted, OrderBody, PaymentBody
from oms_order.settings import OrderSettings

_CARD_FIELDS = {"number": "cardNumber", "cvv": "cvv", "expiry": "expiryDate"}


class Placing:
    """Accepts orders. There is one per process: it owns the group commit, whose thread writes them."""

    def __init__(
        self,
        settings: OrderSettings,
        writer: Writer,
        reads: Database,
        catalogue: Catalogue,
        tokeniser: Tokeniser,
        backpressure: Backpressure,
    ) -> None:
        self._settings, self._reads = settings, reads
        self._catalogue, self._tokeniser, self._backpressure = catalogue, tokeniser, backpressure
        self.group: GroupCommit[Placement, Stored] = GroupCommit(
            "orders", writer.write, settings.queue_limit, settings.queue_seconds
        )
        self._in_flight = InFlight()

    async def place(
        self, body: OrderBody, key: str | None, caller: Caller, disconnected: Disconnected | None = None
    ) -> Answer:
        """Accept an order, or repeat the answer that its key got before, within `answer_seconds`.

        `disconnected` returns once the caller has gone; an order that is not being written by then never will be.
        Raises Problem; nothing was stored then, unless its kind is outcome-unknown.
        """
        deadline = Deadline.within(self._settings.answer_seconds, disconnected)
        if key is None:
            if self._settings.require_idempotency_key:
                raise IdempotencyKeyRequired((idempotency.HEADER, "is required"))
            return await self._accept(body, Origin(caller), deadline)
        idempotency.check(key)
        origin = Origin(caller, key, Fingerprint(body, self._settings.fingerprint_keys))
        with self._in_flight.hold(caller.namespace, key):
            try:
                return await self._accept(body, origin, deadline)
            except (Unavailable, OutcomeUnknown):
                raise  # the database cannot be asked now what the key got before
            except Problem as problem:
                # The first request may have been accepted nevertheless: prices and the load were different then.
                if earlier := await self._earlier(origin, problem, deadline):
                    return _replay(earlier, origin)
                raise

    async def _earlier(self, origin: Origin, problem: Problem, deadline: Deadline) -> Stored | None:
        try:
            return await within(deadline.seconds, find, self._reads, origin.caller.namespace, origin.key)
        except (SQLAlchemyError, TimeoutError):
            if problem.status == 503:
                raise problem from None  # it says more than that the database is unavailable
            raise Unavailable from None

    async def _accept(self, body: OrderBody, origin: Origin, deadline: Deadline) -> Answer:
        self._backpressure.check()
        lines = pricing.lines_of(body, await self._known(body, deadline))
        if not self._settings.accept_sold_out:
            pricing.check_available(lines)
        placement = self._placement(body, lines, origin, deadline.until)
        stored = await self._write(placement, deadline)
        if stored.order_id == placement.order_id:
            return Answer(placement.order_id, placement.answer)
        return _replay(stored, origin)

    async def _known(self, body: OrderBody, deadline: Deadline) -> Mapping[str, CatalogueItem]:
        try:
            return await self._catalogue.find({item.id for item in body.items}, deadline.seconds)
        except TimeoutError:
            raise Unavailable from None

    async def _write(self, placement: Placement, deadline: Deadline) -> Stored:
        try:
            return await self.group.submit(placement, deadline)
        except (Unresolved, Undecided):
            raise OutcomeUnknown(f"/order/{placement.order_id}", may_repeat=placement.key is not None) from None
        except Full:
            raise Busy from None
        except NotWritten:
            raise Unavailable from None

    def _placement(
        self,
        body: OrderBody,
        lines: list[tuple[CatalogueItem, int]],
        origin: Origin,
        answer_by: float,
    ) -> Placement:
        order_id, placed_at = str(new_id()), datetime.now(UTC)
        created = OrderCreated(
            order_id=order_id,
            customer=self._customer(body),
            lines=[
                Line(item_id=item.id, name=item.name, quantity=quantity, unit_price=item.unit_price)
                for item, quantity in lines
            ],
            total=pricing.total(lines),
            currency=lines[0][0].currency,
            payment=contents.payment_method(self._tokenise(body.payment_details)),
            placed_at=placed_at,
        )
        event = ORDER_CREATED.event(created, order_id, tracing.current())
        answer = Accepted(
            id=order_id, status=Status.PENDING, total=created.total, currency=created.currency, placed_at=placed_at
        )
        return Placement(
            contents.row_of(created, origin.caller.subject),
            created.lines,
            event.encode(),
            answer.model_dump_json(),
            origin.caller.namespace,
            origin.key,
            origin.fingerprint.value if origin.fingerprint else None,
            answer_by,
        )

    def _customer(self, body: OrderBody) -> Customer:
        customer = body.customer
        phone = phones.e164(customer.phone_number, self._settings.default_region)
        return Customer(name=customer.name, email=customer.email, phone_number=customer.phone_number, phone_e164=phone)

    def _tokenise(self, payment: PaymentBody) -> Token:
        # The simulator computes its tokens locally; a tokeniser that makes network calls needs a thread here.
        try:
            return self._tokeniser.tokenise(Card(payment.card_number, payment.cvv, payment.expiry_date))
        except CardRefused as error:
            field = f"paymentDetails.{_CARD_FIELDS.get(error.field, 'cardNumber')}"
            raise CardNotAccepted((field, error.message)) from None


def _replay(earlier: Stored, origin: Origin) -> Answer:
    if origin.fingerprint is None or not origin.fingerprint.matches(earlier.fingerprint):
        raise IdempotencyKeyReused
    return Answer(earlier.order_id, earlier.answer, replayed=True)
