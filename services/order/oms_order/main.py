"""The composition root: what the Order Service is made of."""

from oms_chassis.runtime.cli import main
from oms_chassis.runtime.service import Components, Context, Service
from oms_chassis.runtime.threads import Task
from oms_gateway import provider
from oms_order import (
    admin,
    api,
    backpressure,
    cancelling,
    command_api,
    handlers,
    idempotency,
    refunding,
    retentions,
    stuck_orders,
)
from oms_order.backpressure import Backpressure
from oms_order.cancelling import Cancelling
from oms_order.catalogue import Catalogue
from oms_order.metrics import OrderMetrics
from oms_order.placing import Placing
from oms_order.refunding import Refunding
from oms_order.repository import orders
from oms_order.repository.placing import Writer
from oms_order.settings import OrderSettings
from oms_order.stream import Timelines

# A batch of orders takes milliseconds to write. With limits this short, a dead connection is detected and the batch is
# written over another one before its callers give up.
WRITING = {"statement": 2.5, "lock": 1.5, "grace": 1.0, "connect": 2}


def build(context: Context) -> Components:
    """The service's components; nothing connects yet."""
    settings: OrderSettings = context.settings
    database, metrics = context.database, OrderMetrics(context.registry)
    pressure = Backpressure(database, settings.outbox_limit)
    writing = database.reserve(limits=database.limits.at_most(**WRITING), name="orders")
    reads = context.reserve_for_requests()
    catalogue = Catalogue(database, metrics, settings.catalogue_seconds, reads=reads)
    tokeniser = provider(settings.gateway).tokeniser(settings)
    placing = Placing(settings, Writer(writing, metrics), reads, catalogue, tokeniser, pressure)
    metrics.waiting.set_function(placing.group.waiting)
    timelines = Timelines(
        database, settings.stream_poll_seconds, settings.stream_heartbeat_seconds, settings.stream_listeners
    )
    return Components(
        subscriptions=handlers.subscriptions(metrics),
        routers=[api.router, command_api.router],
        admin=[admin.router],
        states=orders.states,
        erase=admin.erase,
        writers=[placing.group],
        provides=[
            reads,
            placing,
            timelines,
            Cancelling(settings, reads, metrics),
            Refunding(settings, reads, metrics),
        ],
        tasks=[
            Task("catalogue", catalogue.refresh, settings.catalogue_seconds),
            Task("backpressure", pressure.refresh, backpressure.REFRESH),
            *cancelling.tasks(
                database, metrics, settings.order_deadline_seconds, settings.stuck_seconds, settings.order_days
            ),
            *refunding.tasks(database, metrics, settings.stuck_seconds, settings.order_days),
            *stuck_orders.tasks(database, metrics, settings.stuck_seconds),
        ],
        retentions=[idempotency.retention(settings.idempotency_days), *retentions.orders(settings.order_days)],
        on_drain=[timelines.stop],
    )


SERVICE = Service(name="order", package="oms_order", settings=OrderSettings, build=build)

if __name__ == "__main__":
    raise SystemExit(main(SERVICE))
