"""The chassis's metrics. The registry is explicit, so that tests and processes never share one by accident."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric
from prometheus_client.registry import Collector

from oms_chassis.telemetry.expiring import ExpiringGauge

# Seconds after which values that were read from the database expire: they are read for each scrape.
READ = 3.0
# Seconds after which a loop that has set no value hangs: longer than its turns and pauses.
TURN = 60.0
_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The chassis's metrics in one registry. All times are in seconds."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._consumer(registry)
        self._outbox(registry)
        self._jobs(registry)
        self._database(registry)
        self.http_requests = Histogram(
            "oms_http_request_seconds",
            "Time to answer a request",
            ["method", "route", "status"],
            buckets=_FAST,
            registry=registry,
        )
        self.spans = Counter(
            "oms_spans_total",
            "Spans by outcome: sent to the collector, failed, or dropped because too many waited or the process ended",
            ["outcome"],
            registry=registry,
        )
        for outcome in ("sent", "failed", "dropped"):
            self.spans.labels(outcome)
        self.http_refusals = Counter(
            "oms_http_refusals_total",
            "Requests refused because of their caller, by problem",
            ["problem"],
            registry=registry,
        )

    def _consumer(self, registry: CollectorRegistry) -> None:
        self.lag = ExpiringGauge(
            "oms_consumer_lag",
            "Unread records by partition",
            ["topic", "partition"],
            seconds=TURN,
            registry=registry,
        )
        self.batches = Histogram(
            "oms_consumer_batch_seconds", "Time to process one batch", buckets=_FAST, registry=registry
        )
        self.events = Counter("oms_consumer_events_total", "Events by outcome", ["topic", "outcome"], registry=registry)
        self.dead_letters = Counter(
            "oms_dead_letters_total", "Messages that no retry could save", ["topic"], registry=registry
        )
        self.gaps = Counter(
            "oms_consumer_gaps_total",
            "Gaps found: records that were deleted before they were read",
            ["topic"],
            registry=registry,
        )
        self.consumer_running = ExpiringGauge(
            "oms_consumer_running",
            "1 while the consumer has its partitions",
            seconds=TURN,
            otherwise=0.0,
            registry=registry,
        )
        self.consumer_paused = Gauge(
            "oms_consumer_paused",
            "1 while no event can be applied because of a systemic fault",
            registry=registry,
        )
        self.damaged = Gauge(
            "oms_consumer_damaged_partitions",
            "Partitions that are not read any further, because the checksum of their next batch is wrong",
            registry=registry,
        )
        self.refused = Gauge(
            "oms_consumer_refused_topics",
            "Topics that are not read because they are missing, or because the service may not read them",
            registry=registry,
        )
        self.last_poll = Gauge(
            "oms_consumer_last_poll_timestamp_seconds",
            "Unix time of the last poll that reached a broker; before the first one, of the start",
            registry=registry,
        )

    def _outbox(self, registry: CollectorRegistry) -> None:
        self.outbox_pending = ExpiringGauge(
            "oms_outbox_pending", "Events waiting to be sent, counted up to 10,000", seconds=READ, registry=registry
        )
        self.outbox_oldest = ExpiringGauge(
            "oms_outbox_oldest_seconds",
            "Age of the oldest event waiting to be sent",
            seconds=READ,
            registry=registry,
        )
        self.relayed = Counter("oms_relay_events_total", "Events sent", ["topic"], registry=registry)
        self.quarantined = Counter(
            "oms_outbox_quarantined_total", "Events that no broker accepts", ["topic"], registry=registry
        )
        self.quarantine = ExpiringGauge("oms_outbox_quarantined", "Events in quarantine", seconds=READ, registry=None)
        registry.register(_Unchecked(self.quarantine))
        self.relay_leader = ExpiringGauge(
            "oms_relay_leader", "1 in the replica whose relay sends", seconds=TURN, otherwise=0.0, registry=registry
        )

    def _jobs(self, registry: CollectorRegistry) -> None:
        self.jobs_pending = ExpiringGauge(
            "oms_jobs_pending",
            "Calls to the outside to be made, counted up to 10,000",
            ["queue"],
            seconds=READ,
            registry=registry,
        )
        self.jobs_oldest = ExpiringGauge(
            "oms_jobs_oldest_seconds",
            "How long the oldest call that is due has been due",
            ["queue"],
            seconds=READ,
            registry=registry,
        )
        self.jobs_dead = ExpiringGauge(
            "oms_jobs_dead",
            "Calls to the outside that were given up and are kept",
            ["queue"],
            seconds=READ,
            registry=registry,
        )
        self.queue_paused = Gauge(
            "oms_job_queue_paused",
            "1 while the queue is paused except for probes, because its provider or its tables are at fault",
            ["queue"],
            registry=registry,
        )
        self.calls = Counter(
            "oms_job_calls_total", "Calls to the outside, by outcome", ["queue", "outcome"], registry=registry
        )
        self.call_oldest = Gauge(
            "oms_job_call_oldest_seconds", "How long the oldest call under way has taken", ["queue"], registry=registry
        )
        self.settle_failures = Counter(
            "oms_job_settle_failures_total",
            "Failed attempts to write a call's outcome; the call is not repeated",
            ["queue"],
            registry=registry,
        )
        self.call_seconds = Histogram(
            "oms_job_call_seconds", "Time of a call to the outside", ["queue"], buckets=_FAST, registry=registry
        )

    def _database(self, registry: CollectorRegistry) -> None:
        self.pool_size = Gauge(
            "oms_database_connections", "Connections that a pool may have", ["pool"], registry=registry
        )
        self.pool_in_use = Gauge(
            "oms_database_connections_in_use", "Connections of a pool that are in use", ["pool"], registry=registry
        )
        self.oldest_snapshot = ExpiringGauge(
            "oms_database_oldest_snapshot_transactions",
            "Age of the oldest open transaction, in transactions: rows deleted since then are not vacuumed",
            seconds=READ,
            registry=registry,
        )
        self.database_up = ExpiringGauge(
            "oms_database_up",
            "1 if the database answered for this scrape; otherwise the gauges read from it have no values",
            seconds=READ,
            otherwise=0.0,
            registry=registry,
        )
        self.task_failures = Counter(
            "oms_task_failures_total", "Calls of a periodic task that failed", ["task"], registry=registry
        )
        self.task_failures_in_a_row = Gauge(
            "oms_task_failures_in_a_row",
            "Failed calls of a periodic task since the last successful one",
            ["task"],
            registry=registry,
        )


class _Unchecked(Collector):
    """A metric whose name the registry does not check, because it would mistake a gauge for its namesake that ends in
    `_total`."""

    def __init__(self, metric: Gauge) -> None:
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        return self._metric.collect()
