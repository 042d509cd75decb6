"""The composition root: what the SMS Service is made of."""

from oms_chassis.service import Context, Parts, Service, main
from oms_notifications.delivery import worker
from oms_notifications.handlers import subscriptions
from oms_sms.handlers import compose
from oms_sms.provider import HttpSmsProvider
from oms_sms.settings import SmsSettings


def build(context: Context) -> Parts:
    """The parts; nothing connects yet."""
    provider = HttpSmsProvider(context.settings)
    return Parts(
        subscriptions=subscriptions("sms", compose),
        workers=[worker("sms", provider, context.registry, context.settings.sms_connections)],
        on_stop=[provider.close],
    )


SERVICE = Service("sms", "oms_sms", SmsSettings, build)

if __name__ == "__main__":
    raise SystemExit(main(SERVICE))
