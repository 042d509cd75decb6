"""What the jobs carry. There is no HTTP here: this service has no public routes (so no api.py either)."""

from oms_contracts.envelope import Message
from oms_contracts.parts import Currency, GatewayId, Identifier, Minor, Positive


class ChargeOrder(Message):
    """A charge to be made. The job's payload also holds all that the events about its outcome will say."""

    order_id: Identifier
    token: GatewayId
    total: Minor
    currency: Currency


class RefundOrder(Message):
    """A refund to be made. Without `charge_id` it is the gateway that knows whether there is anything to refund. It is
    made `again` by an operator, after it has failed; then it has a `key` of its own once the gateway has taken it. When
    it was `noted` that the money went back by another way, the gateway is only asked whether it gave it back, too."""

    order_id: Identifier
    total: Minor
    currency: Currency
    charge_id: str | None = None
    again: bool = False
    key: str | None = None
    noted: bool = False


class RequestedRefund(Message):
    """A refund of a confirmed order to be made; `again`, `key` and `noted` as in RefundOrder."""

    order_id: Identifier
    refund_id: Identifier
    amount: Positive
    currency: Currency
    charge_id: GatewayId
    again: bool = False
    key: str | None = None
    noted: bool = False
