"""The same flow as most teams would first write it.

It has a session and a commit per message, `send().get()` per event, offsets that a timer commits, and outside calls
made inside the handlers. It gives none of the guarantees; it is a baseline for docs/performance.md.

    python -m benchmarks.naive SERVICE
"""

import os
import smtplib
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any
from uuid import uuid4

import httpx2
import uvicorn
from fastapi import FastAPI
from kafka import KafkaConsumer, KafkaProducer
from sqlmodel import Field, Session, SQLModel, create_engine

from oms_contracts import topics
from oms_contracts.envelope import Event
from oms_contracts.events import InventoryUpdated, OrderCreated, OrderEvent, PaymentCompleted
from oms_contracts.parts import Customer, Line, PaymentMethod
from oms_contracts.topics import Topic
from oms_gateway import Card, charge_key
from oms_order.schemas import OrderBody
from oms_simulators.payment.gateway import SimulatedGateway, SimulatedTokeniser

PRICE, CURRENCY = 1250, "USD"


class NaiveOrder(SQLModel, table=True):
    """An order, in the order service's database."""

    id: str = Field(primary_key=True)
    status: str
    total: int


class NaiveStep(SQLModel, table=True):
    """A record that a service did its part for an order."""

    order_id: str = Field(primary_key=True)
    outcome: str


class NaiveItem(SQLModel, table=True):
    """Stock."""

    id: str = Field(primary_key=True)
    on_hand: int


ENGINE = create_engine(os.environ["OMS_DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://", 1))
PRODUCER = KafkaProducer(bootstrap_servers=os.environ["OMS_KAFKA_BOOTSTRAP"], acks="all")
TEXTS = httpx2.Client()  # shared, because each new client reads all certificates, which costs more than the call


def emit(topic: Topic, data: OrderEvent) -> None:
    """Send one event and wait for it."""
    event = topic.event(data, data.order_id)
    PRODUCER.send(topic.name, key=data.order_id.encode(), value=event.encode().encode()).get(timeout=30)


def common(data: OrderEvent) -> dict[str, Any]:
    """Return the data that every event about an order has."""
    return {name: getattr(data, name) for name in OrderEvent.model_fields}


def place(request: OrderBody) -> dict[str, str]:
    """Accept an order."""
    order_id, quantity = str(uuid4()), request.items[0].quantity
    payment, customer = request.payment_details, request.customer
    card = Card(payment.card_number, payment.cvv, payment.expiry_date)
    token = SimulatedTokeniser().tokenise(card)
    with Session(ENGINE) as session:
        session.add(NaiveOrder(id=order_id, status="PENDING", total=PRICE * quantity))
        session.commit()
    line = Line(item_id=request.items[0].id, name="Ceylon tea", quantity=quantity, unit_price=PRICE)
    recipient = Customer(name=customer.name, email=customer.email, phone_number=customer.phone_number)
    method = PaymentMethod(token=token.token, brand=token.brand, last4=token.last4, expiry=token.expiry)
    emit(
        topics.ORDER_CREATED,
        OrderCreated(
            order_id=order_id,
            customer=recipient,
            lines=[line],
            total=PRICE * quantity,
            currency=CURRENCY,
            payment=method,
            placed_at=datetime.now(UTC),
        ),
    )
    return {"id": order_id, "status": "PENDING"}


def follow(event: Event[Any]) -> None:
    """Update the status (the order service)."""
    status = "CONFIRMED" if event.type == topics.INVENTORY_UPDATED.name else "PAID"
    with Session(ENGINE) as session:
        # Without the lock, one topic's thread could overwrite the other's update, and some runs would never end.
        order = session.get(NaiveOrder, event.subject, with_for_update=True)
        if order is not None and order.status != "CONFIRMED":
            order.status = status
            session.add(order)
            session.commit()


def charge(event: Event[Any]) -> None:
    """Charge an order (the payment service)."""
    data: OrderCreated = event.data
    made = GATEWAY.charge(charge_key(data.order_id), data.payment.token, data.total, data.currency)
    with Session(ENGINE) as session:
        session.add(NaiveStep(order_id=data.order_id, outcome=made.id))
        session.commit()
    emit(topics.PAYMENT_COMPLETED, PaymentCompleted(**common(data), payment_id=made.id))


def take(event: Event[Any]) -> None:
    """Reserve the items (the inventory service)."""
    data: PaymentCompleted = event.data
    with Session(ENGINE) as session:
        for line in data.lines:
            item = session.get(NaiveItem, line.item_id, with_for_update=True)
            if item is not None:
                item.on_hand -= line.quantity
                session.add(item)
        session.add(NaiveStep(order_id=data.order_id, outcome="taken"))
        session.commit()
    emit(topics.INVENTORY_UPDATED, InventoryUpdated(**common(data)))


def mail(event: Event[Any]) -> None:
    """Send the email (the email service)."""
    message = EmailMessage()
    message["From"], message["To"] = os.environ["OMS_EMAIL_FROM"], event.data.customer.email
    message["Subject"], message["X-Order-Id"] = "Your order is confirmed", event.subject
    message["Message-ID"] = f"<{event.subject}@naive.example>"
    message.set_content(f"Dear {event.data.customer.name}, your order is confirmed.")
    with smtplib.SMTP(os.environ["OMS_SMTP_HOST"], int(os.environ["OMS_SMTP_PORT"])) as server:
        server.send_message(message)
    done(event)


def text(event: Event[Any]) -> None:
    """Send the SMS (the SMS service)."""
    body = {"to": event.data.customer.phone_number, "from": "OMS", "text": "Confirmed", "reference": event.subject}
    TEXTS.post(os.environ["OMS_SMS_URL"], json=body, headers={"Idempotency-Key": event.subject}).raise_for_status()
    done(event)


def done(event: Event[Any]) -> None:
    """Record that the message was sent."""
    with Session(ENGINE) as session:
        session.add(NaiveStep(order_id=event.subject, outcome="notified"))
        session.commit()


def consume(group: str, topic: Topic, handle: Callable[[Event[Any]], None]) -> None:
    """Handle the topic's messages one by one."""
    consumer = KafkaConsumer(
        topic.name,
        bootstrap_servers=os.environ["OMS_KAFKA_BOOTSTRAP"],
        group_id=f"naive-{group}",
        auto_offset_reset="earliest",
    )
    for record in consumer:
        handle(topic.decode(record.value))


HANDLERS: dict[str, dict[Topic, Callable[[Event[Any]], None]]] = {
    "order": {topics.PAYMENT_COMPLETED: follow, topics.INVENTORY_UPDATED: follow},
    "payment": {topics.ORDER_CREATED: charge},
    "inventory": {topics.PAYMENT_COMPLETED: take},
    "email": {topics.INVENTORY_UPDATED: mail},
    "sms": {topics.INVENTORY_UPDATED: text},
}
GATEWAY = SimulatedGateway(os.environ["OMS_DATABASE_URL"])


def serve(name: str) -> None:
    """Run one of the services. One that this build lacks reports itself ready and does nothing."""
    SQLModel.metadata.create_all(ENGINE)
    with Session(ENGINE) as session:
        session.merge(NaiveItem(id="Item1", on_hand=10_000_000))
        session.commit()
    for topic, handle in HANDLERS.get(name, {}).items():
        threading.Thread(target=consume, args=(f"{name}-{topic.name}", topic, handle), daemon=True).start()
    app = FastAPI()
    app.get("/readyz")(lambda: {"ready": True})
    if name == "order":
        app.post("/order", status_code=202)(place)
        threading.Thread(target=listen, args=(app, "OMS_HTTP_PORT"), daemon=True).start()
    listen(app, "OMS_INTERNAL_PORT")


def listen(app: FastAPI, port: str) -> None:
    """Serve on the port that the environment variable names."""
    config = uvicorn.Config(app, "127.0.0.1", int(os.environ[port]), log_level="warning", access_log=False)
    uvicorn.Server(config).run()


if __name__ == "__main__":
    serve(sys.argv[1])
