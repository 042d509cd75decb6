"""A card, which exists only during a request, and the token that replaces it."""

from dataclasses import dataclass

from pydantic import SecretStr


@dataclass(frozen=True, repr=False)
class Card:
    """A card as the customer typed it. Only a tokeniser reads it; no repr, log or traceback shows it."""

    number: SecretStr
    cvv: SecretStr
    expiry: str

    def __repr__(self) -> str:
        return "Card(…)"

    def digits(self) -> str:
        """The number without the spaces and dashes that people type."""
        return self.number.get_secret_value().replace(" ", "").replace("-", "")


@dataclass(frozen=True)
class Token:
    """What may be stored and sent instead of a card: the gateway's token, and what the customer recognises it by."""

    token: str
    brand: str
    last4: str
    expiry: str
