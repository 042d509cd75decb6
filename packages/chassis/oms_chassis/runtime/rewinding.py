"""The commands `rewind` and `skip`: they set a service's group back, after its database was restored from an older
copy, and forward, beyond records that nobody can read."""

from datetime import UTC, datetime, timedelta

from oms_chassis.messaging import kafka
from oms_chassis.messaging.kafka import GroupInUse, NoSuchPlace
from oms_chassis.messaging.streams import Partition, StreamUnavailable
from oms_chassis.runtime.service import Service
from oms_chassis.settings import Settings
from oms_chassis.telemetry import logs
from oms_contracts import topics

log = logs.logger(__name__)


def rewind(service: Service, settings: Settings, since: datetime) -> int:
    """Set the group back, and return the exit code (2 if the time is too long ago, or while the service runs)."""
    if datetime.now(UTC) - since > timedelta(days=settings.inbox_days):
        # The inbox has forgotten what was processed then, and it would be processed again.
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


def skip(service: Service, settings: Settings, where: Partition, beyond: int) -> int:
    """Set the group forward in one partition, and return the exit code (2 for a topic that is not read, an offset that
    does not exist, or while the service runs)."""
    topic, partition = where
    if topic not in set(topics.read_by(service.name)):
        log.error("skip_of_unread_topic", topic=topic)
        return 2
    try:
        reached = kafka.skip(settings, service.name, where, beyond)
    except GroupInUse:
        log.error("skip_while_running", group=f"{settings.kafka_prefix}{service.name}")
        return 2
    except NoSuchPlace:
        log.error("skip_to_no_place", topic=topic, partition=partition, beyond=beyond)
        return 2
    except StreamUnavailable as error:
        log.error("skip_failed", error=str(error))
        return 1
    if reached is None:
        log.warning("nothing_to_skip", topic=topic, partition=partition, beyond=beyond)
    else:
        log.warning("skipped", topic=topic, partition=partition, offset=reached, beyond=beyond)
    return 0
