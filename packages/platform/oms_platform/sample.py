"""The small catalogue that a fresh platform starts with."""

from typing import Any

ITEMS: list[dict[str, Any]] = [
    {"id": "Item1", "name": "Ceylon tea, 500 g", "unitPrice": 1250, "onHand": 10_000},
    {"id": "Item2", "name": "Coffee beans, 1 kg", "unitPrice": 2490, "onHand": 10_000},
    {"id": "Item3", "name": "Cinnamon sticks, 100 g", "unitPrice": 690, "onHand": 10_000},
    {"id": "Item4", "name": "Teapot", "unitPrice": 3990, "onHand": 500},
    {"id": "Item5", "name": "Signed tea chest", "unitPrice": 24_900, "onHand": 1},
]
