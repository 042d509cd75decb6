"""The command that sets a service's group back: after its database was restored from an older copy."""

from datetime import UTC, datetime, timedelta

from oms_chassis.messaging import kafka
from oms_chassis.messaging.kafka import GroupInUse
from oms_chassis.messaging.streams import StreamUnavailable
from oms_chassis.runtime.service import Service
from oms_chassis.settings import Settings
from oms_chassis.telemetry import logs
from oms_contracts import topics

log = logs.logger(__name__)


def rewind(service: Service, settings: Settings, since: datetime) -> int:
    """Set the group back; the exit code (2 for a time that is too long ago, or while the service runs)."""
    if datetime.now(UTC) - since > timedelta(days=settings.inbox_days):
        # The inbox has forgotten what was processed then, and would let it be processed again.
        log.error("rewind_too_far", days=settings.inbox_days)
        return 2
    try:
        back = kafka.rewind(settings, service.name, topics.read_by(service.name), since)
    except GroupInUse:
        log.error("rewind_while_running", group=f"{settings.kafka_prefix}{service.name}")
        return 2
    except StreamUnavailable as error:
        log.error("rewind_failed", error=str(error))
        return 1
    log.info(
        "rewound", since=since.isoformat(), partitions={f"{topic}-{number}": at for (topic, number), at in back.items()}
    )
    return 0
