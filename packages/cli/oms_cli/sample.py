"""The order that a newcomer sees first."""

from typing import Any

ORDER: dict[str, Any] = {
    "customer": {"name": "Anjana", "email": "test@gmail.com", "phoneNumber": "762222222"},
    "items": [{"id": "Item1", "quantity": 2}],
    "paymentDetails": {"name": "NGAS Subashana", "cardNumber": "1234", "expiryDate": "02/22", "cvv": "123"},
}


def order(item: str = "Item1", quantity: int = 2, card: str = "1234") -> dict[str, Any]:
    """Return the sample order, with another line or card."""
    payment = {**ORDER["paymentDetails"], "cardNumber": card}
    return {**ORDER, "items": [{"id": item, "quantity": quantity}], "paymentDetails": payment}
