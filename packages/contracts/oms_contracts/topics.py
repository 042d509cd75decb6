"""Every topic: what is on it, who emits it and who reads it. Brokers, ACLs, schemas and AsyncAPI follow from here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from oms_contracts import events
from oms_contracts.envelope import Event, Message, envelope, source

PARTITIONS = 3


@dataclass(frozen=True)
class Topic:
    """A topic, with its name in Kafka."""

    name: str
    data: type[Message]
    model: type[Event[Any]]
    emitted_by: str
    read_by: frozenset[str]
    compacted: bool = False

    def event(
        self, data: Message | Mapping[str, Any], subject: str, traceparent: str | None = None, **more: Any
    ) -> Event[Any]:
        """Return an event of this topic that happens now. `more` overrides fields of the envelope.

        If `data` has fields instead of a model, they are checked. Raises ValueError if they are wrong.
        """
        fields = envelope(self.emitted_by, self.name, subject, traceparent, **more)
        return self.model(data=data, **fields)

    def decode(self, value: bytes | str) -> Event[Any]:
        """Return the event in a record's value.

        Raises ValueError (such as pydantic's ValidationError) if it is not an event of this topic and its publisher, or
        if its subject is not the order or the item that its data is about.
        """
        event = self.model.model_validate_json(value)
        if event.type != self.name:
            raise ValueError("an event of another type")
        if event.source != source(self.emitted_by):
            raise ValueError("an event of another publisher")
        if event.subject != event.data.about:
            raise ValueError("an event whose data is about another subject")
        return event


def _topic(name: str, data: type[Message], emitted_by: str, *read_by: str, compacted: bool = False) -> Topic:
    model = Event[data]  # type: ignore[valid-type]
    return Topic(name, data, model, emitted_by, frozenset(read_by), compacted)


ORDER_CREATED = _topic("orderCreatedEvent", events.OrderCreated, "order", "payment")
PAYMENT_COMPLETED = _topic("paymentCompletedEvent", events.PaymentCompleted, "payment", "inventory", "order")
PAYMENT_FAILED = _topic("paymentFailedEvent", events.PaymentFailed, "payment", "order", "sms", "email")
INVENTORY_UPDATED = _topic("inventoryUpdatedEvent", events.InventoryUpdated, "inventory", "order", "sms", "email")
INVENTORY_REJECTED = _topic(
    "inventoryRejectedEvent", events.InventoryRejected, "inventory", "payment", "order", "sms", "email"
)
ORDER_CANCELLED = _topic("orderCancelledEvent", events.OrderCancelled, "order", "payment", "inventory", "sms", "email")
PAYMENT_REFUNDED = _topic("paymentRefundedEvent", events.PaymentRefunded, "payment", "order")
ORDER_REFUND_REQUESTED = _topic(
    "orderRefundRequestedEvent", events.OrderRefundRequested, "order", "payment", "inventory"
)
REFUND_COMPLETED = _topic("refundCompletedEvent", events.RefundCompleted, "payment", "order")
REFUND_FAILED = _topic("refundFailedEvent", events.RefundFailed, "payment", "order")
CHARGE_DISPUTED = _topic("chargeDisputedEvent", events.ChargeDisputed, "payment", "order")
ORDER_REFUNDED = _topic("orderRefundedEvent", events.OrderRefunded, "order", "sms", "email")
INVENTORY_RELEASED = _topic("inventoryReleasedEvent", events.InventoryReleased, "inventory", "order")
ITEM_UPDATED = _topic("itemUpdatedEvent", events.ItemUpdated, "inventory", "order", compacted=True)

TOPICS = (
    ORDER_CREATED,
    PAYMENT_COMPLETED,
    PAYMENT_FAILED,
    INVENTORY_UPDATED,
    INVENTORY_REJECTED,
    ORDER_CANCELLED,
    PAYMENT_REFUNDED,
    INVENTORY_RELEASED,
    ORDER_REFUND_REQUESTED,
    REFUND_COMPLETED,
    REFUND_FAILED,
    CHARGE_DISPUTED,
    ORDER_REFUNDED,
    ITEM_UPDATED,
)
SERVICES = ("order", "payment", "inventory", "sms", "email")


def dead_letter(service: str) -> str:
    """Return the topic to which a service sends messages that it could not handle after all retries."""
    return f"{service}.deadletter"


def emitted_by(service: str) -> Iterable[str]:
    """Return all topics that a service writes to."""
    return (*(topic.name for topic in TOPICS if topic.emitted_by == service), dead_letter(service))


def read_by(service: str) -> Iterable[str]:
    """Return all topics that a service reads."""
    return (topic.name for topic in TOPICS if service in topic.read_by)


def names() -> Iterable[str]:
    """Return all topics that a broker must have."""
    return (*(topic.name for topic in TOPICS), *(dead_letter(service) for service in SERVICES))
