"""The admin routes by which operators find payments whose outcome is open, and settle them.

The gateway's answer, which the payment's job asks for, settles a payment; if the money went back by a way other than
the gateway, the operator does.
"""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Path, Response
from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from oms_chassis.admin import contacts, paging
from oms_chassis.admin.acts import Act
from oms_chassis.admin.jobs import JobView
from oms_chassis.admin.paging import PREFIX, Cursor, Limit, Text
from oms_chassis.admin.service import Administered
from oms_chassis.db import Transaction
from oms_chassis.http import cardnumbers, pages
from oms_chassis.http.bodies import PRINTABLE, STORABLE, Body, View, Visible
from oms_chassis.http.problems import documented
from oms_chassis.jobs import listing
from oms_chassis.laterreleases import extensible
from oms_chassis.statements import Row
from oms_payment import open_payments, open_refunds, repository
from oms_payment.domain import OPEN, RefundState, State
from oms_payment.problems import (
    ChargeOpen,
    NoSuchPayment,
    NoSuchRefund,
    NothingToClose,
    PaymentOfLaterRelease,
    PaymentSettled,
    RefundNotFailed,
    RefundSettled,
    RefundTooLarge,
)

router = APIRouter(prefix=PREFIX)
OrderId = Annotated[str, Path(max_length=64, pattern=STORABLE)]


class RefundView(View):
    """A requested refund of a confirmed order. `reason` is why it failed."""

    refund_id: str
    state: Annotated[str, extensible(RefundState)]
    amount: int
    reason: str | None
    reference: str | None
    created_at: datetime
    updated_at: datetime


class PaymentView(View):
    """A payment in this service's books, with its requested refunds. `disputed` is how much of it the customer's bank
    has taken back by itself."""

    order_id: str
    state: Annotated[str, extensible(State)]
    amount: int
    currency: str
    charge_id: str | None
    refund_id: str | None
    reason: str | None
    created_at: datetime
    updated_at: datetime
    disputed: int | None
    refunds: Annotated[list[RefundView], BeforeValidator(lambda found: found or [])]


class PaymentDetail(PaymentView):
    """A payment with the calls that are still to be made for it."""

    jobs: list[JobView]


class Resolution(Body):
    """How to settle a payment: `ask` the gateway now; `close` the charge, so that the gateway reports its outcome and
    never charges it later; make a failed refund `again`; or record that the money `was-refunded` in another way, under
    this reference. With `refund`, this settles that refund instead of the payment. `ask` also retries a failed refund,
    and publishes again that a refund has succeeded, or that the money of a cancelled order is back after all."""

    how: Literal["ask", "close", "again", "was-refunded"] = "ask"
    reference: Annotated[Visible, AfterValidator(cardnumbers.without)] | None = Field(
        default=None, max_length=100, pattern=PRINTABLE
    )
    refund: str | None = Field(default=None, min_length=1, max_length=64, pattern=PRINTABLE)

    @field_validator("reference")
    @classmethod
    def _holds_no_contact(cls, reference: str | None) -> str | None:
        if reference is not None and contacts.is_certain(reference):
            raise ValueError(contacts.MESSAGE)
        return reference

    @model_validator(mode="after")
    def _names_the_refund(self) -> Self:
        if (self.how == "was-refunded") != (self.reference is not None):
            raise ValueError("a reference goes with was-refunded, and only with it")
        return self


@router.get("/payments", summary="Payments by order")
def list_payments(
    service: Administered,
    response: Response,
    state: Literal["open", "PENDING", "COMPLETED", "FAILED", "REFUNDING", "REFUNDED"] | None = "open",
    reason: Text = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> list[PaymentView]:
    """By default, payments that are open or have an open refund. Paginated by cursor: the Link header has the URL of
    the next page."""
    after = paging.position("/payments", cursor, "", pages.text)
    states = [one.value for one in OPEN] if state == "open" else [state] if state else None
    rows = repository.page(service.database, states, reason, after, limit + 1, with_refunds=state == "open")
    query = {"state": state, "reason": reason, "limit": limit}
    return paging.page(response, "/payments", query, rows, PaymentView.of, "order_id")


@router.get("/payments/{order_id}", summary="Show a payment", responses=documented(NoSuchPayment))
def show_payment(service: Administered, order_id: OrderId) -> PaymentDetail:
    """A payment with the calls to the gateway that are still to be made."""
    with service.database.transaction() as transaction:
        row = _row(transaction, order_id)
    return PaymentDetail.of(row, jobs=[JobView.of(job) for job in listing.about(service.database, [order_id])])


@router.post(
    "/payments/{order_id}/resolve",
    summary="Settle a payment that is open",
    responses=documented(
        NoSuchPayment,
        NoSuchRefund,
        PaymentSettled,
        RefundSettled,
        RefundNotFailed,
        PaymentOfLaterRelease,
        ChargeOpen,
        NothingToClose,
        RefundTooLarge,
    ),
)
def resolve_payment(service: Administered, act: Act, order_id: OrderId, resolution: Resolution) -> PaymentView:
    """Returns the payment as it is now; the gateway's answer may take some more seconds."""
    with act.transaction(service.database) as transaction:
        before = _row(transaction, order_id)
        refund_id = resolution.refund or _only_open_refund(before, resolution.how)
        if refund_id is None:
            open_payments.resolve(transaction, before, resolution.how, resolution.reference)
        else:
            open_refunds.resolve(transaction, order_id, refund_id, resolution.how, resolution.reference)
        after = _row(transaction, order_id)
        how = resolution.how if resolution.reference is None else f"{resolution.how}: {resolution.reference}"
        act.record(transaction, "payments.resolve", order_id, _state(before), _state(after) | {"how": how})
    return PaymentView.of(after)


def _only_open_refund(row: Row, how: str) -> str | None:
    """Return the refund that is meant if none is named: the only open one (with `again`, the only failed one) of a
    payment that is not open itself."""
    not_settled = [one for one in row.refunds or () if one["state"] != RefundState.SUCCEEDED]
    found = [one["refund_id"] for one in not_settled if how != "again" or one["state"] == RefundState.FAILED]
    return found[0] if len(found) == 1 and row.state not in OPEN else None


def _row(transaction: Transaction, order_id: str) -> Row:
    rows = repository.find(transaction, order_id)
    if not rows:
        raise NoSuchPayment
    return rows[0]


def _state(row: Row) -> dict[str, Any]:
    refunds = {one["refund_id"]: one["state"] for one in row.refunds or ()}
    shown = {"state": row.state, "chargeId": row.charge_id, "refundId": row.refund_id}
    return {**shown, "refunds": refunds} if refunds else shown
