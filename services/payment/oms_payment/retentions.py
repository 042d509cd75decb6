"""For how long the Payment Service keeps its data."""

from collections.abc import Sequence

from oms_chassis.retention import LONGER, Retention, of_orders
from oms_payment.repository.refunds import IS_OPEN

# A refund that has not succeeded is somebody's money, so its payment is kept. Polls for disputes and failed refunds
# cover thirty days, which is less than the smallest retention: whatever the gateway reports still finds its payment.
_ENDED = f"""
state IN ('COMPLETED', 'FAILED', 'REFUNDED') AND NOT EXISTS (
    SELECT 1 FROM requested_refund refund WHERE refund.order_id = payment.order_id
        AND (({IS_OPEN}) OR refund.updated_at > now() - make_interval(secs => %(seconds)s))
) AND NOT EXISTS (
    SELECT 1 FROM dispute WHERE dispute.order_id = payment.order_id
        AND dispute.noticed_at > now() - make_interval(secs => %(seconds)s)
)
"""
_WITHOUT_PAYMENT = "NOT EXISTS (SELECT 1 FROM payment WHERE payment.order_id = dispute.order_id)"


def payments(days: float | None) -> Sequence[Retention]:
    """Settled payments, with their refunds and disputes."""
    return of_orders("payment", "updated_at", days, ended=_ENDED, also=("requested_refund", "dispute"))


def disputes(days: float | None) -> Sequence[Retention]:
    """Disputes without a payment here: of charges by another installation with the same gateway account."""
    if days is None:
        return []
    return [Retention("dispute", "noticed_at", (days + LONGER) * 86400, condition=_WITHOUT_PAYMENT)]
