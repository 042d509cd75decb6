"""The mail catcher's HTTP routes: an SMS provider's API, and the emails and texts that were received."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from aiosmtpd.smtp import SMTP, Envelope, Session
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from oms_simulators.failures import Failures
from oms_simulators.mailcatcher import failing
from oms_simulators.mailcatcher.mails import Mails
from oms_simulators.mailcatcher.problems import invalid, problem
from oms_simulators.mailcatcher.smtp import Receiver
from oms_simulators.mailcatcher.texts import Texts

BODY_LIMIT = 64 * 1024


class NewText(BaseModel):
    """The body by which a client has a text sent."""

    model_config = ConfigDict(populate_by_name=True)

    to: Annotated[str, Field(min_length=1, max_length=200)]
    sender: Annotated[str, Field(alias="from", min_length=1, max_length=200)]
    text: Annotated[str, Field(min_length=1, max_length=2000)]
    reference: Annotated[str, Field(min_length=1, max_length=200)]


class Query(BaseModel):
    """The query of GET /messages."""

    order_id: Annotated[str | None, Field(alias="orderId")] = None
    kind: Annotated[str | None, Field(pattern="^(email|sms)$")] = None
    limit: Annotated[int, Field(ge=1, le=1_000_000)] = 100


class MailCatcher:
    """Both stores. Messages are written at once, which takes less time than handing them to a thread, and read by a
    thread, because reading many takes long."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.mails = Mails(folder / "mail.mbox")
        self.texts = Texts(folder / "sms.jsonl")
        self.failures = {target: Failures(target) for target in ("mail", "sms")}
        self._reader = ThreadPoolExecutor(1, "reader")

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """Offer PIPELINING: a client need not wait for each answer before it sends the next command."""
        session.host_name = hostname
        return [*responses[:-1], "250-PIPELINING", responses[-1]]

    async def handle_DATA(self, server: SMTP, _session: object, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        """Receive a mail by SMTP."""
        recipient = ",".join(envelope.rcpt_tos)
        if refusal := await failing.refuse_mail(self.failures["mail"], recipient):
            return refusal
        try:
            self.mails.keep(_bytes(envelope.content))
        except OSError:
            return "452 could not be stored"
        await failing.drip_reply(self.failures["mail"], server, recipient)
        failing.hang_up(self.failures["mail"], server, recipient)
        return "250 kept"

    async def read(self, query: Query) -> list[dict[str, str]]:
        """Return the newest messages that match, oldest of them first."""
        return await asyncio.get_running_loop().run_in_executor(self._reader, self._read, query)

    def _read(self, query: Query) -> list[dict[str, str]]:
        asked = query.order_id, query.limit
        emails = [] if query.kind == "sms" else self.mails.read(*asked)
        texts = [] if query.kind == "email" else self.texts.read(*asked)
        found = sorted([*emails, *texts], key=lambda record: record.received_at)
        return [record.shown() for record in found[-query.limit :]]

    def close(self) -> None:
        """Close the files, once nobody reads."""
        self._reader.shutdown()
        self.texts.close()
        self.mails.close()


def create_app(folder: Path, host: str, smtp_port: int) -> Starlette:
    """Return the application. While it runs, it also listens for SMTP on `smtp_port`."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        catcher = app.state.catcher = MailCatcher(folder)
        app.state.failures = catcher.failures
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: Receiver(catcher, hostname="mailcatcher", enable_SMTPUTF8=True, loop=loop), host, smtp_port
        )
        yield
        server.close()
        catcher.close()

    routes = [
        Route("/sms", _post_sms, methods=["POST"]),
        Route("/messages", _messages),
        Route("/messages/count", _count),
        Route("/livez", _livez),
        Route("/failures", failing.list_failures),
        Route("/failures", failing.set_failure, methods=["PUT"]),
        Route("/failures", failing.clear_failures, methods=["DELETE"]),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def _bytes(content: bytes | str | None) -> bytes:
    return content.encode() if isinstance(content, str) else content or b""


async def _post_sms(request: Request) -> Response:
    key = request.headers.get("Idempotency-Key", "")
    if not 0 < len(key) <= 200:
        return problem(400, "A header Idempotency-Key of 1 to 200 characters is needed")
    body = await request.body()
    if len(body) > BODY_LIMIT:
        return problem(413, "The body is too large")
    catcher: MailCatcher = request.app.state.catcher
    try:
        text = NewText.model_validate_json(body).model_dump(by_alias=True)
        if refusal := await failing.refuse_text(catcher.failures["sms"], text["to"]):
            return refusal
        catcher.texts.keep(key, text)
    except ValidationError as error:
        return invalid(error)
    except OSError:
        return problem(503, "The text could not be stored")
    if catcher.failures["sms"].take("lost-answer", to=text["to"]):
        return problem(500, "The text is on its way, and this answer is as good as lost")
    dripping = failing.drip_answer(catcher.failures["sms"], text["to"])
    return dripping or JSONResponse({"id": f"sms-{key}", "status": "accepted"}, 201)


async def _messages(request: Request) -> Response:
    try:
        query = Query.model_validate(dict(request.query_params))
    except ValidationError as error:
        return invalid(error)
    catcher: MailCatcher = request.app.state.catcher
    return JSONResponse(await catcher.read(query))


async def _count(request: Request) -> Response:
    """Count the messages. `emailDeliveries` also counts repeated emails."""
    catcher: MailCatcher = request.app.state.catcher
    counts = {"email": len(catcher.mails), "sms": len(catcher.texts), "emailDeliveries": catcher.mails.deliveries}
    return JSONResponse(counts)


async def _livez(_: Request) -> Response:
    return JSONResponse({"status": "ok"})
