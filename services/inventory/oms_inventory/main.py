"""The composition root: what the Inventory Service is made of."""

from oms_chassis.messaging.subscription import Subscription
from oms_chassis.runtime.cli import main
from oms_chassis.runtime.service import Components, Context, Service
from oms_contracts.topics import ORDER_CANCELLED, ORDER_REFUND_REQUESTED, PAYMENT_COMPLETED
from oms_inventory import admin, api, catalogue, handlers, repository, retentions, returns, stock_api
from oms_inventory.settings import InventorySettings


def build(context: Context) -> Components:
    """The service's components; nothing connects yet."""
    settings: InventorySettings = context.settings
    database = context.database
    return Components(
        subscriptions=[
            Subscription(PAYMENT_COMPLETED, handlers.payment_completed),
            Subscription(ORDER_CANCELLED, handlers.order_cancelled),
            Subscription(ORDER_REFUND_REQUESTED, returns.order_refund_requested),
        ],
        routers=[api.router, stock_api.router],
        provides=[context.reserve_for_requests(), settings],
        admin=[admin.router],
        states=repository.states,
        on_start=[lambda: catalogue.seed(database, settings.all_items(), settings.currency)],
        retentions=retentions.orders(settings.order_days),
    )


SERVICE = Service(name="inventory", package="oms_inventory", settings=InventorySettings, build=build)

if __name__ == "__main__":
    raise SystemExit(main(SERVICE))
