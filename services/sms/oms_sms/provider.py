"""Sends texts through an SMS provider's HTTP API."""

import json
import time
from datetime import UTC
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any

from oms_chassis.jobs.queue import Outcome, Paused, Retry, Unavailable
from oms_notifications import failures
from oms_notifications.notice import Notice, refused, sent, turned_down
from oms_sms import domain
from oms_sms.calls import Answer, Calls, NotReached
from oms_sms.settings import SmsSettings

# These are about this text: its number, or what all texts have, such as the sender. Every other 4xx is about our
# settings, account or calls, except for two that may be either: forbidden altogether, or only for this number.
REFUSING_STATUS = {400, 413, 422}
FORBIDDING_STATUS = {403, 451}
RETRYABLE_STATUS = {408, 409, 425}  # the call was too slow, or too early, or the same one was still in progress


class HttpSmsProvider:
    """Posts texts as JSON. Every attempt has the same Idempotency-Key, by which the provider sends a text once, however
    often it is asked to; so a call whose outcome is unknown is simply repeated."""

    def __init__(self, settings: SmsSettings) -> None:
        token, self._from = settings.sms_token, settings.sms_from
        headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token is not None else {}
        self._calls = Calls(settings.sms_url, headers, settings.sms_timeout, settings.sms_call_seconds)
        self.close = self._calls.close

    def send(self, notice: Notice) -> Outcome:
        """Send one text."""
        if not domain.is_number(notice.to):
            return refused("no number that a text can be sent to")
        try:
            answer = self._post(notice)
        except NotReached as error:
            return Paused(f"sms: {failures.name(error.__cause__ or error)}")
        except (OSError, HTTPException) as error:
            return Unavailable(f"sms: {type(error).__name__}")
        if 200 <= answer.status < 300 and answer.headers.get_content_type() == "text/html":
            return Paused(f"sms: {answer.status} with a web page")  # from a proxy, or a page about maintenance
        if 200 <= answer.status < 300:
            return sent(_provider_id(answer) or notice.key)
        return refusal(answer)

    def _post(self, notice: Notice) -> Answer:
        text = {"to": notice.to, "from": self._from, "text": notice.text, "reference": notice.order_id}
        return self._calls.post(json.dumps(text).encode(), {"Idempotency-Key": notice.key})


def refusal(answer: Answer) -> Outcome:
    """What a status other than 2xx means."""
    reason = f"sms: {answer.status}"
    if answer.status in REFUSING_STATUS:
        return turned_down(reason)
    if answer.status in RETRYABLE_STATUS:
        return Retry(reason)
    is_ours = 400 <= answer.status < 500 or answer.status == 503
    if answer.status in FORBIDDING_STATUS or not is_ours:
        return Unavailable(reason)
    return Paused(reason, _retry_after(answer))


def _retry_after(answer: Answer) -> float | None:
    """Return for how many seconds the provider wants no calls, if it says so. Retry-After has the seconds or a date
    (RFC 9110, 10.2.3)."""
    text = answer.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)  # a date in asctime's form has no zone
        return max(0.0, moment.timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _provider_id(answer: Answer) -> str | None:
    try:
        parsed: Any = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    found = parsed.get("id") if isinstance(parsed, dict) else None
    return found[:200] if isinstance(found, str) and found.isprintable() else None
