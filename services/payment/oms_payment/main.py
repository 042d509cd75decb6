"""The composition root: what the Payment Service is made of."""

from oms_chassis.messaging.subscription import Subscription
from oms_chassis.runtime.cli import main
from oms_chassis.runtime.service import Components, Context, Service
from oms_contracts.topics import INVENTORY_REJECTED, ORDER_CANCELLED, ORDER_CREATED, ORDER_REFUND_REQUESTED
from oms_gateway import operator_routes, provider
from oms_payment import disputes, failed_refunds, handlers, repository, requests, retentions
from oms_payment.admin import router
from oms_payment.jobs import charging, refunding, requested
from oms_payment.settings import PaymentSettings


def build(context: Context) -> Components:
    """The service's components; nothing connects yet."""
    settings: PaymentSettings = context.settings
    named = provider(settings.gateway)
    gateway = named.gateway(settings)
    twice, failed = requested.twice(context.registry), refunding.failures(context.registry)
    return Components(
        subscriptions=[
            Subscription(ORDER_CREATED, handlers.order_created),
            Subscription(INVENTORY_REJECTED, handlers.give_back),
            Subscription(ORDER_CANCELLED, handlers.give_back),
            Subscription(ORDER_REFUND_REQUESTED, requests.refund_requested),
        ],
        job_queues=[
            charging.job_queue(
                gateway, settings.gateway_connections, settings.charge_patience_seconds, context.registry
            ),
            refunding.job_queue(gateway, failed.inc, twice.inc),
            requested.job_queue(gateway, twice.inc),
        ],
        tasks=[
            disputes.task(gateway, context.database, settings.disputes_seconds, context.registry),
            failed_refunds.task(gateway, context.database, settings.disputes_seconds, failed.inc),
        ],
        admin=[router, *operator_routes(named, gateway)],
        states=repository.states,
        retentions=[*retentions.payments(settings.order_days), *retentions.disputes(settings.order_days)],
        on_stop=[gateway.close],
    )


SERVICE = Service(name="payment", package="oms_payment", settings=PaymentSettings, build=build)

if __name__ == "__main__":
    raise SystemExit(main(SERVICE))
