"""The interface to payment gateways: cards become tokens, and tokens become charges."""

from oms_gateway.cards import Card, Token
from oms_gateway.contract import (
    ABANDONED,
    Charge,
    Dispute,
    FailedRefund,
    Gateway,
    Provider,
    Refund,
    RefundStatus,
    Settings,
    Tokeniser,
    charge_key,
    charged_order,
    refund_key,
    requested_refund_key,
)
from oms_gateway.errors import (
    CardRefused,
    GatewayClosed,
    GatewayError,
    GatewayUnavailable,
    OutcomeUnknown,
    RequestRefused,
    Retryable,
)
from oms_gateway.providers import GatewayName, operator_routes, provider

__all__ = [
    "ABANDONED",
    "Card",
    "CardRefused",
    "Charge",
    "Dispute",
    "FailedRefund",
    "Gateway",
    "GatewayClosed",
    "GatewayError",
    "GatewayName",
    "GatewayUnavailable",
    "OutcomeUnknown",
    "Provider",
    "Refund",
    "RefundStatus",
    "RequestRefused",
    "Retryable",
    "Settings",
    "Token",
    "Tokeniser",
    "charge_key",
    "charged_order",
    "operator_routes",
    "provider",
    "refund_key",
    "requested_refund_key",
]
