"""Reports what a consumer cannot read: each case is logged once, and measured."""

from collections.abc import Mapping

from oms_chassis.messaging.streams import Damage, Partition, Source
from oms_chassis.telemetry.logs import logger
from oms_chassis.telemetry.metrics import Metrics

log = logger(__name__)


class Trouble:
    """Damaged batches, topics that the broker refuses, and records that were deleted before they were read."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._damaged: Mapping[Partition, Damage] = {}
        self._refused: Mapping[str, str] = {}

    def report(self, source: Source) -> None:
        """Log what is new since the last call, and update the metrics."""
        damaged, refused = dict(source.damaged()), source.refused()
        self._metrics.damaged.set(len(damaged))
        self._metrics.refused.set(len(refused))
        for (topic, partition), damage in damaged.items() - self._damaged.items():
            log.error("batch_damaged", topic=topic, partition=partition, offset=damage.first, beyond=damage.beyond)
        for topic, error in refused.items() - self._refused.items():
            log.error("topic_refused", topic=topic, error=error)
        self._damaged, self._refused = damaged, refused
        for (topic, partition), gap in source.gaps():
            self._metrics.gaps.labels(topic).inc()
            log.error("records_gone", topic=topic, partition=partition, offset=gap.first, beyond=gap.beyond)

    def end(self) -> None:
        """Reset the metrics: nothing is read for now."""
        self._metrics.damaged.set(0)
        self._metrics.refused.set(0)
