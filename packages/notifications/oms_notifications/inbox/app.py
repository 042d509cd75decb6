"""The inbox over HTTP: an SMS provider's API, and what was received by either way."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from oms_notifications.inbox.groupsync import GroupSync
from oms_notifications.inbox.mbox import Mbox
from oms_notifications.inbox.smtp import SmtpSession
from oms_notifications.inbox.texts import Texts

BODY_LIMIT = 64 * 1024


class NewText(BaseModel):
    """What a client posts to have a text sent."""

    model_config = ConfigDict(populate_by_name=True)

    to: Annotated[str, Field(min_length=1, max_length=200)]
    sender: Annotated[str, Field(alias="from", min_length=1, max_length=200)]
    text: Annotated[str, Field(min_length=1, max_length=2000)]
    reference: Annotated[str, Field(min_length=1, max_length=200)]


class Query(BaseModel):
    """What GET /messages can be asked for."""

    order_id: Annotated[str | None, Field(alias="orderId")] = None
    kind: Annotated[str | None, Field(pattern="^(email|sms)$")] = None
    limit: Annotated[int, Field(ge=1, le=1_000_000)] = 100


class Inbox:
    """The state of the application: both stores, and the texts that are being written."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.mbox = Mbox(folder / "mail.mbox")
        self.texts = Texts(folder / "sms.jsonl")
        self.mails = GroupSync(self.mbox.write)
        self._writes = GroupSync(self.texts.write)
        self._keys = {key: _done() for key in self.texts.keys()}  # noqa: SIM118 - texts is no mapping

    async def keep(self, key: str, text: NewText) -> None:
        """Store a text, once per key; OSError if the disk refuses."""
        write = self._keys.get(key)
        if write is None:
            item = {"key": key, **text.model_dump(exclude={"sender"}), "from": text.sender}
            write = self._keys[key] = self._writes.submit(item)
        try:
            await asyncio.shield(write)
        except OSError:
            self._keys.pop(key, None)
            raise

    def read(self, query: Query) -> list[dict[str, str]]:
        """The newest messages that match, oldest of them first."""
        emails = [] if query.kind == "sms" else list(self.mbox.read(query.order_id, query.limit))
        texts = [] if query.kind == "email" else self.texts.read(query.order_id, query.limit)
        found = sorted([*emails, *texts], key=lambda record: record.received_at)
        return [record.shown() for record in found[-query.limit :]]

    async def close(self) -> None:
        """Finish what is being written."""
        await self.mails.finish()
        await self._writes.finish()
        self.mbox.close()
        self.texts.close()


def _done() -> "asyncio.Future[None]":
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.set_result(None)
    return future


def create_app(folder: Path, host: str, smtp_port: int) -> Starlette:
    """The application; while it runs, it also listens for SMTP on `smtp_port`."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        inbox = app.state.inbox = Inbox(folder)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: SmtpSession(inbox.mails.submit), host, smtp_port)
        yield
        server.close()
        await inbox.close()

    routes = [
        Route("/sms", _post_sms, methods=["POST"]),
        Route("/messages", _messages),
        Route("/messages/count", _count),
        Route("/livez", _livez),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


async def _post_sms(request: Request) -> Response:
    key = request.headers.get("Idempotency-Key", "")
    if not 0 < len(key) <= 200:
        return _problem(400, "A header Idempotency-Key of 1 to 200 characters is needed")
    body = await request.body()
    if len(body) > BODY_LIMIT:
        return _problem(413, "The body is too large")
    try:
        await request.app.state.inbox.keep(key, NewText.model_validate_json(body))
    except ValidationError as error:
        return _invalid(error)
    except OSError:
        return _problem(503, "The text could not be stored")
    return JSONResponse({"id": f"sms-{key}", "status": "accepted"}, 201)


async def _messages(request: Request) -> Response:
    try:
        query = Query.model_validate(dict(request.query_params))
    except ValidationError as error:
        return _invalid(error)
    return JSONResponse(await run_in_threadpool(request.app.state.inbox.read, query))


async def _count(request: Request) -> Response:
    """How many there are; `emailDeliveries` also counts emails that came more than once."""
    inbox: Inbox = request.app.state.inbox
    counts = {"email": len(inbox.mbox), "sms": len(inbox.texts), "emailDeliveries": inbox.mbox.deliveries}
    return JSONResponse(counts)


async def _livez(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


def _invalid(error: ValidationError) -> Response:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    errors = [{"field": ".".join(map(str, one["loc"])) or "body", "message": one["msg"]} for one in found]
    return _problem(422, "The request is not valid", errors)


def _problem(status: int, title: str, errors: Sequence[Mapping[str, str]] = ()) -> Response:
    """RFC 9457, as the services answer. Not by the chassis: that would bring its libraries into this small process."""
    body = {"title": title, "status": status, "errors": list(errors)}
    return JSONResponse(body, status, media_type="application/problem+json")
