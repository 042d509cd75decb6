"""The Order Service's admin routes: stuck orders, refunds without an outcome, and the data of a customer."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator, Field

from oms_chassis.admin import paging
from oms_chassis.admin.acts import Act
from oms_chassis.admin.evidence import Subject
from oms_chassis.admin.paging import PREFIX, Cursor, Limit
from oms_chassis.admin.problems import UnderWay
from oms_chassis.admin.service import Administered
from oms_chassis.db import Transaction
from oms_chassis.http.bodies import PRINTABLE, Body, View
from oms_chassis.http.problems import InvalidRequest
from oms_chassis.laterreleases import extensible
from oms_order import emails, ids
from oms_order.refunds import RefundStatus
from oms_order.repository import customers, items, orders, refunds, stuck
from oms_order.schemas import OrderDetail, StatusShown
from oms_order.sweeps import FIRST

router = APIRouter(prefix=PREFIX)
AT_ONCE = 200  # orders of a customer in one answer
SHORTEST = 5  # characters of a text to search for: a shorter one would match by chance


class StuckOrder(View):
    """An order that is not terminal, the step that it waits for, and how long it has waited."""

    id: str
    status: StatusShown
    reason: str | None
    step: str
    placed_at: datetime
    updated_at: datetime


@router.get("/orders/stuck", summary="Orders whose status has not changed for a while")
def list_stuck(
    service: Administered,
    response: Response,
    seconds: Annotated[float, Query(ge=0, le=10**9)] = 300.0,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> list[StuckOrder]:
    """Paginated by cursor: if there are more orders, the Link header has the URL of the next page."""
    after = paging.position("/orders/stuck", cursor, FIRST, _id)
    rows = stuck.page(service.database, seconds, after, limit + 1)
    query: dict[str, str | int | None] = {"seconds": str(seconds), "limit": limit}
    return paging.page(response, "/orders/stuck", query, rows, StuckOrder.of)


class HeldRefund(View):
    """A refund of a confirmed order that has had no outcome since `since`, or has failed then, because of `failure`."""

    id: str
    order_id: str
    amount: int
    currency: str
    status: Annotated[str, extensible(RefundStatus)]
    failure: str | None
    since: datetime


@router.get("/refunds/held", summary="Refunds that have waited for their outcome for a while, or have failed")
def list_held(
    service: Administered,
    response: Response,
    seconds: Annotated[float, Query(ge=0, le=10**9)] = 300.0,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> list[HeldRefund]:
    """Failed refunds are listed if they could still be made. Paginated by cursor: if there are more refunds, the Link
    header has the URL of the next page."""
    after = paging.position("/refunds/held", cursor, FIRST, _id)
    rows = refunds.held(service.database, seconds, after, limit + 1)
    query: dict[str, str | int | None] = {"seconds": str(seconds), "limit": limit}
    return paging.page(response, "/refunds/held", query, rows, HeldRefund.of)


class NewestItem(View):
    """The highest version of any item."""

    version: int


@router.get("/items/newest", summary="The highest version of an item that is known here")
def show_newest(service: Administered) -> NewestItem:
    """0 if no item is known. A restored inventory must continue with higher versions, or its items are ignored."""
    return NewestItem(version=items.newest(service.database))


def _id(position: bytes) -> UUID:
    return UUID(position.decode())


class CustomerAddress(Body):
    """A customer, by the email address of the orders. It is sent in a body, because URLs are written to logs."""

    email: Annotated[str, Field(min_length=3, max_length=200, pattern=PRINTABLE), AfterValidator(emails.as_stored)]


class ChosenOrders(CustomerAddress):
    """The orders in `subjects`, or all of a customer's orders, if they fit into one answer."""

    subjects: Annotated[list[Subject] | None, Field(max_length=AT_ONCE)] = None


class CustomerView(View):
    """The orders of a customer, and the `texts` by which they identify the customer. `announced` has the orders and
    refunds, each with its order, whose outcome the services that notify customers may not have read yet."""

    orders: dict[str, StatusShown]
    announced: dict[str, str]
    texts: list[str]


class CustomerExport(View):
    """The orders of a customer, with all that this service stores about them."""

    orders: list[OrderDetail]


@router.post("/customers/find", summary="The orders of a customer")
def find_customer(service: Administered, act: Act, customer: CustomerAddress) -> CustomerView:
    """Includes the addresses and numbers by which the customer's data can be found elsewhere."""
    rows = customers.find(service.database, customer.email)
    with act.look(service.database) as transaction:
        act.record(transaction, "customers.find", "customer", None, {"orders": [row.id for row in rows]})
    texts = {text for row in rows for text in (row.email, row.phone, row.phone_e164) if text and len(text) >= SHORTEST}
    found = {row.id: row.status for row in rows}
    return CustomerView(orders=found, announced=customers.announced(service.database, found), texts=sorted(texts))


@router.post("/customers/export", summary="Export what is stored about a customer")
def export_customer(service: Administered, act: Act, customer: ChosenOrders) -> CustomerExport:
    """The orders as the customer sees them. The audit log records who asked. A customer with more than 200 orders is
    exported by several requests, each with some of the orders as `subjects`."""
    found = [row.id for row in customers.find(service.database, customer.email)]
    if customer.subjects is not None:
        found = sorted(set(found).intersection(customer.subjects))
    elif len(found) > AT_ONCE:
        raise InvalidRequest(("subjects", f"The customer has {len(found)} orders: choose {AT_ONCE} at most."))
    with act.look(service.database) as transaction:
        act.record(transaction, "customers.export", "customer", None, {"orders": found})
        return CustomerExport(orders=[OrderDetail.of(orders.detail(transaction, UUID(one))[0]) for one in found])


def erase(transaction: Transaction, subjects: Sequence[str]) -> int:
    """Erase the customer from orders, and return their number. Raises UnderWay if one has not ended."""
    known = [subject for subject in subjects if ids.parse(subject)]
    if customers.are_under_way(transaction, known):
        raise UnderWay(detail="An order has not ended, or is being refunded: wait for it, or cancel it.")
    return customers.erase(transaction, known)
