"""Places orders as customers do."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import httpx2

from support.chassis import eventually

APPROVED, DECLINED, NO_FUNDS = "4242424242424242", "4000000000000002", "4000000000009995"
TERMINAL = {"CONFIRMED", "CANCELLED"}
END_TIMEOUT = 60.0  # seconds: a cluster's first order may wait for a consumer group to form

Body = dict[str, Any]


def body(
    *lines: tuple[str, int], card: str = APPROVED, email: str | None = None, name: str = "Anjana", cvv: str = "123"
) -> Body:
    """Return the body of an order: by default two of Item1, and a unique address."""
    return {
        "customer": {
            "name": name,
            "email": email or f"{uuid4().hex}@customers.example",
            "phoneNumber": "762222222",
        },
        "items": [{"id": item, "quantity": quantity} for item, quantity in lines or (("Item1", 2),)],
        "paymentDetails": {"name": "NGAS Subashana", "cardNumber": card, "expiryDate": "02/40", "cvv": cvv},
    }


def place(client: httpx2.Client, order: Body, headers: Mapping[str, str] | None = None) -> str:
    """Post an order that must be accepted, and return its id."""
    response = client.post("/order", json=order, headers=headers)
    assert response.status_code == 202, response.text
    return str(response.json()["id"])


def read(client: httpx2.Client, order_id: str) -> dict[str, Any]:
    """Return the order as the service shows it."""
    response = client.get(f"/order/{order_id}")
    assert response.status_code == 200, response.text
    shown: dict[str, Any] = response.json()
    return shown


def ended(client: httpx2.Client, order_id: str, within: float = END_TIMEOUT) -> dict[str, Any]:
    """Wait until the order is terminal, and return it."""

    def shown() -> dict[str, Any] | None:
        order = read(client, order_id)
        return order if order["status"] in TERMINAL else None

    return eventually(shown, within) or {}


def messages(mailcatcher: str, order_id: str, count: int = 2, within: float = END_TIMEOUT) -> dict[str, dict[str, str]]:
    """Wait for `count` messages about an order, and return them by kind."""

    def arrived() -> list[dict[str, str]]:
        found: list[dict[str, str]] = httpx2.get(f"{mailcatcher}/messages", params={"orderId": order_id}).json()
        return found if len(found) >= count else []

    found = eventually(arrived, within)
    assert len(found) == count, [message["kind"] for message in found]
    return {message["kind"]: message for message in found}
