"""The composition root: what the Email Service is made of."""

from oms_chassis.runtime.cli import main
from oms_chassis.runtime.service import Components, Context, Service
from oms_email.messages import compose
from oms_email.provider import SmtpProvider
from oms_email.settings import EmailSettings
from oms_notifications import limits, repository
from oms_notifications.admin import router
from oms_notifications.handlers import subscriptions
from oms_notifications.jobs import counter, job_queue


def build(context: Context) -> Components:
    """The service's components; nothing connects yet."""
    settings: EmailSettings = context.settings
    provider = SmtpProvider(settings)
    messages = counter("email", context.registry)
    return Components(
        subscriptions=subscriptions("email", compose, limits.limits(settings.recipient_limit), messages),
        job_queues=[job_queue("email", provider, messages, settings.smtp_connections, settings.mail_seconds)],
        admin=[router],
        states=repository.states,
        retentions=[*repository.retentions(settings.order_days), limits.retention()],
        on_stop=[provider.close],
    )


SERVICE = Service(name="email", package="oms_email", settings=EmailSettings, build=build)

if __name__ == "__main__":
    raise SystemExit(main(SERVICE))
