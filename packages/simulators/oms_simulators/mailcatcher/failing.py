"""The mail catcher's failures on demand: those of a mail server, and those of an SMS provider."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from aiosmtpd.smtp import SMTP
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from oms_simulators.failures import Failures, NewFailure
from oms_simulators.mailcatcher.problems import invalid, wrong

DRIP = 0.05  # seconds between two bytes
_REPLIES = {"greylist": "450 4.2.0 greylisted, try again", "4xx": "451 4.2.0 try again", "5xx": "554 5.6.0 refused"}


async def refuse_mail(failures: Failures, recipient: str) -> str | None:
    """Return the reply that refuses a mail, or None if the mail is accepted."""
    failure = failures.take("greylist", "4xx", "5xx", "slow", to=recipient)
    if failure is None or (failure.kind == "greylist" and not failures.is_first(recipient)):
        return None
    if failure.kind == "slow":
        await asyncio.sleep(failure.seconds)
        return None
    return _REPLIES[failure.kind]


def hang_up(failures: Failures, server: SMTP, recipient: str) -> None:
    """Close the connection before the reply to an accepted mail, if that failure is on."""
    if failures.take("drop", to=recipient):
        transport: Any = server.transport  # uvloop's, which is no subclass of asyncio's
        transport.abort()


async def refuse_text(failures: Failures, to: str) -> Response | None:
    """Return the answer that refuses a text, or None if the text is accepted."""
    failure = failures.take("429", "401", "500", "refused", "slow", to=to)
    if failure is None:
        return None
    if failure.kind == "slow":
        await asyncio.sleep(failure.seconds)
        return None
    status = 422 if failure.kind == "refused" else int(failure.kind)
    headers = {"Retry-After": f"{failure.seconds:.0f}"} if status == 429 else {}
    return JSONResponse({"title": "as it was asked to"}, status, headers=headers)


async def drip_reply(failures: Failures, server: SMTP, recipient: str) -> None:
    """Begin the reply to an accepted mail, byte by byte and for as long as the failure says."""
    if failure := failures.take("drip", to=recipient):
        transport: Any = server.transport
        async for byte in _drip(b"250-kept\r\n", failure.seconds):
            transport.write(byte)


def drip_answer(failures: Failures, to: str) -> Response | None:
    """Return the answer to an accepted text, byte by byte, if that failure is on."""
    if failure := failures.take("drip", to=to):
        return StreamingResponse(_drip(b" ", failure.seconds), 201, media_type="application/json")
    return None


async def _drip(text: bytes, seconds: float) -> AsyncIterator[bytes]:
    """Yield the text over and over, until the time is up and a repetition is complete."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for byte in text:
            yield bytes([byte])
            await asyncio.sleep(DRIP)


async def list_failures(request: Request) -> Response:
    """GET: list the active failures."""
    return JSONResponse([one for failures in request.app.state.failures.values() for one in failures.shown()])


async def set_failure(request: Request) -> Response:
    """PUT: turn a failure on."""
    try:
        new = NewFailure.model_validate_json(await request.body())
        request.app.state.failures[new.target].set(new)
    except ValidationError as error:
        return invalid(error)
    except KeyError:
        return wrong(("target", "the mail catcher fails for mail and sms"))
    except ValueError as error:
        return wrong(("kind", str(error)))
    return await list_failures(request)


async def clear_failures(request: Request) -> Response:
    """DELETE: clear all failures."""
    for failures in request.app.state.failures.values():
        failures.clear()
    return await list_failures(request)
