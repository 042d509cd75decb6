"""The composition root: what the SMS Service is made of."""

from oms_chassis.runtime.cli import main
from oms_chassis.runtime.service import Components, Context, Service
from oms_notifications import limits, repository
from oms_notifications.admin import router
from oms_notifications.handlers import subscriptions
from oms_notifications.jobs import counter, job_queue
from oms_sms.messages import compose
from oms_sms.provider import HttpSmsProvider
from oms_sms.settings import SmsSettings


def build(context: Context) -> Components:
    """The service's components; nothing connects yet."""
    settings: SmsSettings = context.settings
    provider = HttpSmsProvider(settings)
    messages = counter("sms", context.registry)
    return Components(
        subscriptions=subscriptions(
            "sms", compose, limits.limits(settings.recipient_limit, settings.prefix_limits), messages
        ),
        job_queues=[job_queue("sms", provider, messages, settings.sms_connections, settings.sms_call_seconds)],
        admin=[router],
        states=repository.states,
        retentions=[*repository.retentions(settings.order_days), limits.retention()],
        on_stop=[provider.close],
    )


SERVICE = Service(name="sms", package="oms_sms", settings=SmsSettings, build=build)

if __name__ == "__main__":
    raise SystemExit(main(SERVICE))
