"""Run one of the services: python -m benchmarks.faststream SERVICE."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable

import uvicorn
import uvloop
from fastapi import FastAPI
from faststream import AckPolicy
from sqlalchemy.dialects.postgresql import insert

from benchmarks.faststream import flow
from benchmarks.faststream.tables import Base, Event, Item

Handler = Callable[[list[Event]], Awaitable[None]]
HANDLERS: dict[str, dict[str, Handler]] = {
    "order": {flow.PAID: flow.paid, flow.RESERVED: flow.confirmed},
    "payment": {flow.CREATED: flow.once(flow.charge)},
    "inventory": {flow.PAID: flow.once(flow.reserve)},
    "email": {flow.RESERVED: flow.once(flow.mail)},
    "sms": {flow.RESERVED: flow.once(flow.text)},
}


async def serve(name: str) -> None:
    """Subscribe, relay, and listen, until the process is asked to stop."""
    async with flow.ENGINE.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
        await connection.execute(insert(Item).values(id="Item1", on_hand=10_000_000).on_conflict_do_nothing())
    for topic, handle in HANDLERS[name].items():
        flow.BROKER.subscriber(
            topic,
            batch=True,
            group_id=f"faststream-{name}",
            auto_offset_reset="earliest",
            max_records=flow.BATCH,
            ack_policy=AckPolicy.NACK_ON_ERROR,
        )(handle)
    app = FastAPI()
    app.get("/readyz")(lambda: {"ready": True})
    ports = ["OMS_INTERNAL_PORT"]
    if name == "order":
        app.post("/order", status_code=202)(flow.place)
        ports.append("OMS_HTTP_PORT")
    await flow.BROKER.start()
    servers = [asyncio.create_task(listen(app, port)) for port in ports]
    relay = asyncio.create_task(flow.relay())
    ended, _ = await asyncio.wait([*servers, relay], return_when=asyncio.FIRST_COMPLETED)
    await flow.BROKER.stop()
    for task in ended:
        task.result()


async def listen(app: FastAPI, port: str) -> None:
    """Serve on the port that the environment variable names."""
    config = uvicorn.Config(app, "127.0.0.1", int(os.environ[port]), log_level="warning", access_log=False)
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1]))
