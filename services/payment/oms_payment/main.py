"""The composition root: what the payment service is made of."""

from oms_chassis.consumer import Subscription
from oms_chassis.service import Context, Parts, Service, main
from oms_contracts.topics import INVENTORY_REJECTED, ORDER_CREATED
from oms_gateway import gateway
from oms_payment import charging, handlers, refunding
from oms_payment.settings import PaymentSettings


def build(context: Context) -> Parts:
    """The parts; nothing connects yet."""
    bank = gateway(context.settings.gateway, context.settings.gateway_url)
    return Parts(
        subscriptions=[
            Subscription(ORDER_CREATED, handlers.order_created),
            Subscription(INVENTORY_REJECTED, handlers.inventory_rejected),
        ],
        workers=[charging.worker(bank, context.settings.gateway_connections), refunding.worker(bank)],
        on_stop=[bank.close],
    )


SERVICE = Service("payment", "oms_payment", PaymentSettings, build)

if __name__ == "__main__":
    raise SystemExit(main(SERVICE))
