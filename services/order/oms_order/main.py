"""The Order Service: takes orders, tells their status. This is where its parts are put together."""

from oms_chassis.runtime.cli import main
from oms_chassis.runtime.service import Components, Context, Service
from oms_chassis.runtime.threads import Task
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

# Whoever waits at the HTTP edge waits less than the threads behind it do; a batch of orders is written in milliseconds.
WRITE_SECONDS, READ_SECONDS, LOCK_SECONDS = 4.0, 5.0, 2.0


def build(context: Context) -> Components:
    """The parts of this service."""
    settings: OrderSettings = context.settings
    database, metrics = context.database, OrderMetrics(context.registry)
    catalogue, room = (
        Catalogue(database, metrics, settings.catalogue_seconds),
        Admission(database, settings.outbox_limit),
    )
    writing = database.reserve(limits=database.limits.at_most(statement=WRITE_SECONDS, lock=LOCK_SECONDS))
    reads = database.reserve(max(1, settings.database_pool // 4), database.limits.at_most(READ_SECONDS, LOCK_SECONDS))
    tokeniser = provider(settings.gateway).tokeniser(settings)
    placing = Placing(settings, Writer(writing, metrics), catalogue, tokeniser, room)
    timelines = Timelines(
        database, settings.stream_poll_seconds, settings.stream_heartbeat_seconds, settings.stream_listeners
    )
    return Components(
        subscriptions=handlers.subscriptions(metrics),
        routers=[router],
        writers=[placing.group],
        states={"database": reads, "placing": placing, "timelines": timelines},
        tasks=[
            Task("catalogue", catalogue.refresh, settings.catalogue_seconds),
            Task("admission", room.refresh, admission.REFRESH),
            Task(
                "sweep", lambda: reconciliation.sweep(database, metrics, settings.stuck_seconds), reconciliation.SWEEP
            ),
        ],
        retentions=[idempotency.retention(settings.idempotency_days)],
        on_drain=[timelines.stop],
    )


SERVICE = Service(name="order", package="oms_order", settings=OrderSettings, build=build)

if __name__ == "__main__":
    raise SystemExit(main(SERVICE))
