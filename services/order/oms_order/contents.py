"""What events about an order say of it, from its rows."""

from typing import Any

from sqlalchemy import Row

from oms_contracts.events import Customer, Line


def of_order(row: Row[Any]) -> dict[str, Any]:
    """The fields of an OrderEvent; the row is one of `orders.contents`."""
    return {
        "order_id": row.id,
        "customer": Customer(name=row.name, email=row.email, phone_number=row.phone, phone_e164=row.phone_e164),
        "lines": [Line(**line) for line in row.lines],
        "total": row.total,
        "currency": row.currency,
    }
