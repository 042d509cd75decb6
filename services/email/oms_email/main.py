"""The composition root: what the Email Service is made of."""

from oms_chassis.service import Context, Parts, Service, main
from oms_email.handlers import compose
from oms_email.provider import SmtpProvider
from oms_email.settings import EmailSettings
from oms_notifications.delivery import worker
from oms_notifications.handlers import subscriptions


def build(context: Context) -> Parts:
    """The parts; nothing connects yet."""
    provider = SmtpProvider(context.settings)
    return Parts(
        subscriptions=subscriptions("email", compose),
        workers=[worker("email", provider, context.registry, context.settings.smtp_connections)],
        on_stop=[provider.close],
    )


SERVICE = Service("email", "oms_email", EmailSettings, build)

if __name__ == "__main__":
    raise SystemExit(main(SERVICE))
