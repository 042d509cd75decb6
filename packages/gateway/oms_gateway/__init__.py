"""Cards become tokens, and tokens become charges: the one door to whoever moves the money."""

from oms_gateway.cards import Card, Token
from oms_gateway.contract import ABANDONED, Charge, Gateway, Refund, Tokeniser, charge_key, refund_key
from oms_gateway.errors import (
    CardRefused,
    GatewayError,
    GatewayUnavailable,
    OutcomeUnknown,
    RequestRefused,
    Retryable,
)
from oms_gateway.providers import gateway, tokeniser

__all__ = [
    "ABANDONED",
    "Card",
    "CardRefused",
    "Charge",
    "Gateway",
    "GatewayError",
    "GatewayUnavailable",
    "OutcomeUnknown",
    "Refund",
    "RequestRefused",
    "Retryable",
    "Token",
    "Tokeniser",
    "charge_key",
    "gateway",
    "refund_key",
    "tokeniser",
]
