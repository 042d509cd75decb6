"""The payloads of jobs. This service has no public routes, and so no HTTP schemas."""

from oms_contracts.envelope import Message
from oms_contracts.parts import Currency, GatewayId, Identifier, Minor, Positive


class ChargeOrder(Message):
    """A charge to be made. The job's payload also has everything that the events about its outcome need."""

    order_id: Identifier
    token: GatewayId
    total: Minor
    currency: Currency


class RefundOrder(Message):
    """A refund to be made. Without a `charge_id`, only the gateway knows whether there is anything to refund. `again`
    means that an operator retries a failed refund, which gets a `key` of its own once the gateway has accepted it.
    `noted` means that the money was returned in another way: the gateway is only asked whether it refunded it, too."""

    order_id: Identifier
    total: Minor
    currency: Currency
    charge_id: str | None = None
    again: bool = False
    key: str | None = None
    noted: bool = False


class RequestedRefund(Message):
    """A refund of a confirmed order to be made. `again`, `key` and `noted` are as in RefundOrder."""

    order_id: Identifier
    refund_id: Identifier
    amount: Positive
    currency: Currency
    charge_id: GatewayId
    again: bool = False
    key: str | None = None
    noted: bool = False
