"""The way to customers by an SMS provider's HTTP API."""

import time
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from oms_chassis.jobs.queue import Outcome, Paused, Retry, Unavailable
from oms_notifications.notice import Notice, refused, sent
from oms_sms import domain
from oms_sms.deadline import BoundedTransport, Deadline
from oms_sms.settings import SmsSettings

# What is not about this text but about our settings or our account: every other text would get the same answer.
PAUSING_STATUS = {401, 403, 404, 405, 407, 429, 503}
RETRYABLE_STATUS = {408, 409, 425}  # the call came too late, too early, or while the same one was under way
_NOT_REACHED = (httpx.ConnectError, httpx.ConnectTimeout)


class HttpSmsProvider:
    """Posts texts as JSON. The Idempotency-Key is the same for every attempt: by it the provider sends a text once,
    however often it is asked to; so a call that ended in doubt is simply made again."""

    def __init__(self, settings: SmsSettings) -> None:
        self._settings = settings
        self._deadline = Deadline()
        token = settings.sms_token
        limits = httpx.Limits(max_connections=settings.sms_connections, keepalive_expiry=30.0)
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {token.get_secret_value()}"} if token is not None else {},
            timeout=settings.sms_timeout,
            transport=BoundedTransport(limits, self._deadline),
            trust_env=False,
        )

    def send(self, notice: Notice) -> Outcome:
        """Send one text."""
        if not domain.is_number(notice.to):
            return refused("no number that a text can be sent to")
        try:
            answer = self._post(notice)
        except _NOT_REACHED as error:
            return Paused(f"sms: {type(error).__name__}")
        except httpx.RequestError as error:
            return Unavailable(f"sms: {type(error).__name__}")
        if answer.is_success:
            return sent(_provider_id(answer) or notice.key)
        return _refusal(answer)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _post(self, notice: Notice) -> httpx.Response:
        text = {"to": notice.to, "from": self._settings.sms_from, "text": notice.text, "reference": notice.order_id}
        self._deadline.begin(self._settings.sms_call_seconds)
        return self._client.post(self._settings.sms_url, json=text, headers={"Idempotency-Key": notice.key})


def _refusal(answer: httpx.Response) -> Outcome:
    reason = f"sms: {answer.status_code}"
    if answer.status_code in PAUSING_STATUS:
        return Paused(reason, _retry_after(answer))
    if answer.status_code in RETRYABLE_STATUS:
        return Retry(reason)
    return refused(reason) if answer.is_client_error else Unavailable(reason)


def _retry_after(answer: httpx.Response) -> float | None:
    """For how long the provider wants no calls, if it says so: in seconds, or until when (RFC 9110, 10.2.3)."""
    text = answer.headers.get("Retry-After", "")
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def _provider_id(answer: httpx.Response) -> str | None:
    try:
        parsed: Any = answer.json()
    except ValueError:
        return None
    found = parsed.get("id") if isinstance(parsed, dict) else None
    return found[:200] if isinstance(found, str) and found.isprintable() else None
