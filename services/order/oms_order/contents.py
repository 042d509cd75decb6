"""Maps orders between rows and events: a row to the fields of an event, and the first event to its row."""

from typing import Any

from oms_chassis.statements import Row
from oms_contracts.events import OrderCreated
from oms_contracts.parts import Customer, Line, PaymentMethod, RefundedLine
from oms_gateway.cards import Token


def of_order(row: Row) -> dict[str, Any]:
    """The fields of an OrderEvent, from a row of `orders.contents`."""
    return {
        "order_id": row.id,
        "customer": Customer(name=row.name, email=row.email, phone_number=row.phone, phone_e164=row.phone_e164),
        "lines": [Line(**line) for line in row.lines],
        "total": row.total,
        "currency": row.currency,
    }


def payment_method(token: Token) -> PaymentMethod:
    """The part of a tokenised card that an order stores."""
    return PaymentMethod(token=token.token, brand=token.brand, last4=token.last4, expiry=token.expiry)


def row_of(created: OrderCreated, owner: str | None = None) -> dict[str, object]:
    """A new order's columns, from its first event and from who placed it."""
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
        "owner": owner,
    }


def refunded(refund: Row, row: Row) -> list[RefundedLine]:
    """The lines that a refund covers: `refund` has quantities by item, `row` the items' names."""
    names = {line["item_id"]: line["name"] for line in row.lines}
    return [
        RefundedLine(item_id=line["id"], name=names[line["id"]], quantity=line["quantity"]) for line in refund.lines
    ]
