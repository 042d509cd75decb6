"""The composition root: what the payment service is made of."""

from oms_chassis.consumer import Subscription
from oms_chassis.service import Context, Parts, Service, main
from oms_contracts.topics import INVENTORY_REJECTED, ORDER_CREATED
from oms_gateway import provider
from oms_payment import handlers
from oms_payment.jobs import charging, refunding
from oms_payment.settings import PaymentSettings


def build(context: Context) -> Parts:
    """The parts; nothing connects yet."""
    gateway = provider(context.settings.gateway).gateway(context.settings)
    return Parts(
        subscriptions=[
            Subscription(ORDER_CREATED, handlers.order_created),
            Subscription(INVENTORY_REJECTED, handlers.inventory_rejected),
        ],
        workers=[charging.worker(gateway, context.settings.gateway_connections), refunding.worker(gateway)],
        on_stop=[gateway.close],
    )


SERVICE = Service("payment", "oms_payment", PaymentSettings, build)

if __name__ == "__main__":
    raise SystemExit(main(SERVICE))
