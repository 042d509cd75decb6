"""The way to customers by an SMS provider's HTTP API."""

from typing import Any

import httpx

from oms_chassis.jobs.queue import Outcome, Retry
from oms_notifications.delivery import Notice, refused, sent
from oms_sms.settings import SmsSettings

# A no that is not about this text: no login, wrong address, in progress, too early, too many. It may be mended.
_MENDABLE = {401, 403, 404, 405, 407, 408, 409, 425, 429}


class HttpSmsProvider:
    """Posts texts as JSON. The Idempotency-Key is the same for every attempt: by it the provider sends a text once,
    however often it is asked to; so a call that ended in doubt is simply made again."""

    def __init__(self, settings: SmsSettings) -> None:
        self._settings = settings
        token = settings.sms_token
        limits = httpx.Limits(max_connections=settings.sms_connections, keepalive_expiry=30.0)
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {token.get_secret_value()}"} if token is not None else {},
            timeout=settings.sms_timeout,
            limits=limits,
            trust_env=False,
        )

    def send(self, notice: Notice) -> Outcome:
        """Send one text."""
        try:
            answer = self._post(notice)
        except httpx.RequestError as error:
            return Retry(f"sms: {type(error).__name__}")
        if answer.is_success:
            return sent(_provider_id(answer) or notice.key)
        if answer.is_client_error and answer.status_code not in _MENDABLE:
            return refused(f"sms: {answer.status_code}")
        return Retry(f"sms: {answer.status_code}")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _post(self, notice: Notice) -> httpx.Response:
        text = {"to": notice.to, "from": self._settings.sms_from, "text": notice.text, "reference": notice.order_id}
        return self._client.post(self._settings.sms_url, json=text, headers={"Idempotency-Key": notice.key})


def _provider_id(answer: httpx.Response) -> str | None:
    try:
        parsed: Any = answer.json()
    except ValueError:
        return None
    found = parsed.get("id") if isinstance(parsed, dict) else None
    return found[:200] if isinstance(found, str) else None
