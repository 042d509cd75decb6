"""What the chassis measures. The registry is explicit, so that tests and processes never share one by accident."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The chassis's metrics in one registry. All times are in seconds."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._consumer(registry)
        self._outbox(registry)
        self._jobs(registry)
        self.http_requests = Histogram(
            "oms_http_request_seconds",
            "Time to answer a request",
            ["method", "route", "status"],
            buckets=_FAST,
            registry=registry,
        )

    def _consumer(self, registry: CollectorRegistry) -> None:
        self.lag = Gauge(
            "oms_consumer_lag", "Records not yet read, by partition", ["topic", "partition"], registry=registry
        )
        self.batches = Histogram(
            "oms_consumer_batch_seconds", "Time to work off one batch", buckets=_FAST, registry=registry
        )
        self.events = Counter(
            "oms_consumer_events_total", "Events by what became of them", ["topic", "outcome"], registry=registry
        )
        self.dead_letters = Counter(
            "oms_dead_letters_total", "Messages that no retry could save", ["topic"], registry=registry
        )
        self.consumer_running = Gauge(
            "oms_consumer_running", "1 while the consumer has its partitions", registry=registry
        )

    def _outbox(self, registry: CollectorRegistry) -> None:
        self.outbox_pending = Gauge("oms_outbox_pending", "Events waiting to be sent", registry=registry)
        self.outbox_oldest = Gauge(
            "oms_outbox_oldest_seconds", "Age of the oldest event that waits to be sent", registry=registry
        )
        self.relayed = Counter("oms_relay_events_total", "Events sent", ["topic"], registry=registry)
        self.relay_leader = Gauge("oms_relay_leader", "1 in the replica whose relay sends", registry=registry)

    def _jobs(self, registry: CollectorRegistry) -> None:
        self.jobs_pending = Gauge("oms_jobs_pending", "Calls to the outside to be made", ["queue"], registry=registry)
        self.jobs_oldest = Gauge(
            "oms_jobs_oldest_seconds", "Age of the oldest call that is due", ["queue"], registry=registry
        )
        self.calls = Counter(
            "oms_job_calls_total", "Calls to the outside, by outcome", ["queue", "outcome"], registry=registry
        )
        self.call_seconds = Histogram(
            "oms_job_call_seconds", "Time of a call to the outside", ["queue"], buckets=_FAST, registry=registry
        )
