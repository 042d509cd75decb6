"""What a fresh platform starts with: a small catalogue, and the order that a newcomer sees first."""

from typing import Any

ITEMS: list[dict[str, Any]] = [
    {"id": "Item1", "name": "Ceylon tea, 500 g", "unitPrice": 1250, "onHand": 10_000},
    {"id": "Item2", "name": "Coffee beans, 1 kg", "unitPrice": 2490, "onHand": 10_000},
    {"id": "Item3", "name": "Cinnamon sticks, 100 g", "unitPrice": 690, "onHand": 10_000},
    {"id": "Item4", "name": "Teapot", "unitPrice": 3990, "onHand": 500},
    {"id": "Item5", "name": "Signed tea chest", "unitPrice": 24_900, "onHand": 1},
]

ORDER: dict[str, Any] = {
    "customer": {"name": "Anjana", "email": "test@gmail.com", "phoneNumber": "762222222"},
    "items": [{"id": "Item1", "quantity": 2}],
    "paymentDetails": {"name": "NGAS Subashana", "cardNumber": "1234", "expiryDate": "02/22", "cvv": "123"},
}


def order(item: str = "Item1", quantity: int = 2, card: str = "1234") -> dict[str, Any]:
    """The sample order with another line or card."""
    payment = {**ORDER["paymentDetails"], "cardNumber": card}
    return {**ORDER, "items": [{"id": item, "quantity": quantity}], "paymentDetails": payment}
