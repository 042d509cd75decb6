"""The Order Service: takes orders, tells their status. This is where its parts are put together."""

from oms_chassis.service import Context, Parts, Service, main
from oms_chassis.threads import Task
from oms_gateway import provider
from oms_order import admission, handlers, idempotency, reconciliation
from oms_order.admission import Admission
from oms_order.api import router
from oms_order.catalogue import Catalogue
from oms_order.metrics import OrderMetrics
from oms_order.placing import Placing
from oms_order.settings import OrderSettings
from oms_order.stream import Timelines
from oms_order.writer import Writer


def build(context: Context) -> Parts:
    """The parts of this service."""
    settings: OrderSettings = context.settings
    database, metrics = context.database, OrderMetrics(context.registry)
    catalogue, room = Catalogue(database), Admission(database, settings.outbox_limit)
    placing = Placing(
        settings, Writer(database, metrics), catalogue, provider(settings.gateway).tokeniser(settings), room
    )
    timelines = Timelines(
        database, settings.stream_poll_seconds, settings.stream_heartbeat_seconds, settings.stream_listeners
    )
    return Parts(
        subscriptions=handlers.subscriptions(metrics),
        routers=[router],
        states={"database": database, "placing": placing, "timelines": timelines},
        tasks=[
            Task("catalogue", catalogue.refresh, settings.catalogue_seconds),
            Task("admission", room.refresh, admission.REFRESH),
            Task(
                "sweep", lambda: reconciliation.sweep(database, metrics, settings.stuck_seconds), reconciliation.SWEEP
            ),
            Task("prune-keys", lambda: idempotency.prune(database, settings.idempotency_days), idempotency.PRUNE_EVERY),
        ],
        on_start=[placing.start],
        on_drain=[timelines.stop],
        on_stop=[placing.stop],
    )


SERVICE = Service(name="order", package="oms_order", settings=OrderSettings, build=build)

if __name__ == "__main__":
    raise SystemExit(main(SERVICE))
