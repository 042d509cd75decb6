"""The Inventory Service: keeps the catalogue and takes stock. This is where its parts are put together."""

from oms_chassis.messaging.consumer import Subscription
from oms_chassis.runtime.cli import main
from oms_chassis.runtime.service import Components, Context, Service
from oms_contracts.topics import PAYMENT_COMPLETED
from oms_inventory import catalogue, handlers
from oms_inventory.api import router
from oms_inventory.settings import InventorySettings


def build(context: Context) -> Components:
    """The parts; nothing connects yet."""
    settings, database = context.settings, context.database
    return Components(
        subscriptions=[Subscription(PAYMENT_COMPLETED, handlers.payment_completed)],
        routers=[router],
        states={"database": database, "currency": settings.currency},
        on_start=[lambda: catalogue.seed(database, settings.catalogue, settings.currency)],
    )


SERVICE = Service("inventory", "oms_inventory", InventorySettings, build)

if __name__ == "__main__":
    raise SystemExit(main(SERVICE))
