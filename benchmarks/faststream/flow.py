"""What each service does."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from email.message import EmailMessage
from functools import cache
from itertools import groupby
from uuid import uuid4

import aiohttp
import aiosmtplib
from faststream.kafka import KafkaBroker, KafkaPublishMessage
from sqlalchemy import case, delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from benchmarks.faststream.tables import Event, Inbox, Item, Order, Outbox
from oms_gateway import Card, charge_key
from oms_order.schemas import OrderBody
from oms_simulators.payment.gateway import SimulatedGateway, SimulatedTokeniser

PRICE, CURRENCY, BATCH, CONNECTIONS = 1250, "USD", 500, 8
CREATED, PAID, RESERVED = "orderCreatedEvent", "paymentCompletedEvent", "inventoryUpdatedEvent"
ENGINE = create_async_engine(os.environ["OMS_DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://", 1))
SESSIONS = async_sessionmaker(ENGINE, expire_on_commit=False)
# A batch of events is one of Kafka's batches. Logging each message would cost FastStream more than processing it.
BROKER = KafkaBroker(os.environ["OMS_KAFKA_BOOTSTRAP"], acks="all", max_batch_size=1_000_000, log_level=logging.DEBUG)
GATEWAY = SimulatedGateway(os.environ["OMS_DATABASE_URL"])
Work = Callable[[AsyncSession, list[Event]], Awaitable[None]]


@cache
def texts() -> aiohttp.ClientSession:
    """Return the only client of the SMS provider, which must be made within the event loop."""
    return aiohttp.ClientSession()


def rows(topic: str, events: Iterable[Event]) -> list[dict[str, str]]:
    """Return the events as rows of the outbox."""
    return [{"topic": topic, "key": one.order_id, "body": one.model_dump_json()} for one in events]


async def relay() -> None:
    """Send the events in the outbox, then delete them."""
    while True:
        async with SESSIONS.begin() as session:
            unsent = select(Outbox).order_by(Outbox.id).limit(BATCH).with_for_update(skip_locked=True)
            found = (await session.scalars(unsent)).all()
            for topic, group in groupby(found, lambda row: row.topic):
                messages = (KafkaPublishMessage(row.body.encode(), key=row.key.encode()) for row in group)
                await BROKER.publish_batch(*messages, topic=topic)
            await session.execute(delete(Outbox).where(Outbox.id.in_([row.id for row in found])))
        if not found:
            await asyncio.sleep(0.02)


def once(work: Work) -> Callable[[list[Event]], Awaitable[None]]:
    """Return a handler of batches that processes each event once, in a transaction."""

    async def handle(events: list[Event]) -> None:
        async with SESSIONS.begin() as session:
            seen = [{"id": one.order_id} for one in events]
            fresh = upsert(Inbox).values(seen).on_conflict_do_nothing().returning(Inbox.id)
            ids = set(await session.scalars(fresh))
            if ids:
                await work(session, [one for one in events if one.order_id in ids])

    return handle


async def place(request: OrderBody) -> dict[str, str]:
    """Accept an order."""
    order_id, line, customer, card = str(uuid4()), request.items[0], request.customer, request.payment_details
    token = SimulatedTokeniser().tokenise(Card(card.card_number, card.cvv, card.expiry_date))
    event = Event(
        order_id=order_id,
        name=customer.name,
        email=customer.email,
        phone_number=customer.phone_number,
        item_id=line.id,
        quantity=line.quantity,
        total=PRICE * line.quantity,
        token=token.token,
    )
    async with SESSIONS.begin() as session:
        await session.execute(insert(Order).values(id=order_id, status="PENDING", total=event.total))
        await session.execute(insert(Outbox), rows(CREATED, [event]))
    return {"id": order_id, "status": "PENDING"}


async def follow(events: list[Event], status: str) -> None:
    """Update the status, which never goes back (the order service)."""
    ids = [one.order_id for one in events]
    kept = case((Order.status == "CONFIRMED", Order.status), else_=status)
    async with SESSIONS.begin() as session:
        await session.execute(update(Order).where(Order.id.in_(ids)).values(status=kept))


async def paid(events: list[Event]) -> None:
    """See follow."""
    await follow(events, "PAID")


async def confirmed(events: list[Event]) -> None:
    """See follow."""
    await follow(events, "CONFIRMED")


async def charge(session: AsyncSession, events: list[Event]) -> None:
    """Charge the orders (the payment service). The simulator is synchronous, so each call gets a thread."""
    calls = ((charge_key(one.order_id), one.token, one.total, CURRENCY) for one in events)
    await asyncio.gather(*(asyncio.to_thread(GATEWAY.charge, *call) for call in calls))
    await session.execute(insert(Outbox), rows(PAID, events))


async def reserve(session: AsyncSession, events: list[Event]) -> None:
    """Reserve the items (the inventory service)."""
    for item_id, group in groupby(sorted(events, key=lambda one: one.item_id), lambda one: one.item_id):
        less = Item.on_hand - sum(one.quantity for one in group)
        await session.execute(update(Item).where(Item.id == item_id).values(on_hand=less))
    await session.execute(insert(Outbox), rows(RESERVED, events))


async def mail(_: AsyncSession, events: list[Event]) -> None:
    """Send the emails (the email service), over some connections, each with its share of the batch."""
    shares = [events[start::CONNECTIONS] for start in range(min(CONNECTIONS, len(events)))]
    await asyncio.gather(*map(_mail, shares))


async def _mail(events: Sequence[Event]) -> None:
    host, port = os.environ["OMS_SMTP_HOST"], int(os.environ["OMS_SMTP_PORT"])
    async with aiosmtplib.SMTP(hostname=host, port=port) as server:
        for event in events:
            message = EmailMessage()
            message["From"], message["To"] = os.environ["OMS_EMAIL_FROM"], event.email
            message["Subject"], message["X-Order-Id"] = "Your order is confirmed", event.order_id
            message["Message-ID"] = f"<{event.order_id}@faststream.example>"
            message.set_content(f"Dear {event.name}, your order is confirmed.")
            await server.send_message(message)


async def text(_: AsyncSession, events: list[Event]) -> None:
    """Send the SMS (the SMS service)."""
    await asyncio.gather(*map(_text, events))


async def _text(event: Event) -> None:
    body = {"to": event.phone_number, "from": "OMS", "text": "Confirmed", "reference": event.order_id}
    call = texts().post(os.environ["OMS_SMS_URL"], json=body, headers={"Idempotency-Key": event.order_id})
    async with call as answer:
        answer.raise_for_status()
