"""What the Order Service measures beyond what the chassis does."""

from collections import Counter as Tally
from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from oms_chassis.telemetry.expiring import ExpiringGauge
from oms_order import ids
from oms_order.domain import Fact, Order, Status, Step
from oms_order.refunds import RefundStatus

COUNTED = 30.0  # seconds after which a count is out of date: one is made every ten
_UNTIL_CONFIRMED = (0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)


class OrderMetrics:
    """Orders in numbers. Steps are those that an order can wait for: see stuck_orders.py."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.orders = Counter(
            "oms_orders_total",
            "Orders that reached a status",
            ["status"],
            registry=registry,
        )
        self.contradictions = Counter(
            "oms_orders_contradictions_total", "Facts that contradict earlier ones", ["fact"], registry=registry
        )
        self.unknown = Counter(
            "oms_unknown_order_events_total", "Events about orders that do not exist", ["fact"], registry=registry
        )
        self.unfinished = ExpiringGauge(
            "oms_orders_unfinished",
            "Orders under way, by the step that comes next",
            ["step"],
            seconds=COUNTED,
            registry=registry,
        )
        self.stuck = ExpiringGauge(
            "oms_orders_stuck",
            "Orders whose status has not changed for too long, by the step that comes next",
            ["step"],
            seconds=COUNTED,
            registry=registry,
        )
        self.catalogue_age = Gauge(
            "oms_catalogue_age_seconds", "How old the prices in this process are", registry=registry
        )
        self.catalogue_items = Gauge(
            "oms_catalogue_items",
            "Items that this process knows: with none at all, orders are refused with 503",
            registry=registry,
        )
        self.refunds = Counter(
            "oms_refunds_total",
            "Refunds of confirmed orders that reached a status",
            ["status"],
            registry=registry,
        )
        self.refunds_stuck = ExpiringGauge(
            "oms_refunds_stuck",
            "Refunds of confirmed orders that have waited too long for an outcome",
            seconds=COUNTED,
            registry=registry,
        )
        self.waiting = Gauge("oms_orders_waiting", "Orders that wait to be written", registry=registry)
        self.confirmation = Histogram(
            "oms_order_confirmation_seconds",
            "Time from the acceptance of an order until it was CONFIRMED",
            buckets=_UNTIL_CONFIRMED,
            registry=registry,
        )
        for status in Status:
            self.orders.labels(status)
        for refund in RefundStatus:
            self.refunds.labels(refund)
        for fact in Fact:
            self.contradictions.labels(fact)
            self.unknown.labels(fact)

    def count(self, changed: Iterable[tuple[Order, Sequence[Step]]]) -> None:
        """Count the statuses that orders have reached, and how long the CONFIRMED ones took."""
        reached = [(order.id, step.status) for order, steps in changed for step in steps]
        for status, count in Tally(status for _, status in reached).items():
            self.orders.labels(status).inc(count)
        for order_id, status in reached:
            if status is Status.CONFIRMED:
                self.confirmation.observe(ids.age(order_id))
