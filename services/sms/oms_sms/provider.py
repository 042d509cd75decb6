"""The way to customers by an SMS provider's HTTP API.

http.client and not httpx: it takes a third of the CPU for a request over an open connection, and there is one request
for every order.
"""

import json
import ssl
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from oms_chassis.jobs import Outcome, Retry
from oms_notifications.delivery import Notice, refused, sent
from oms_notifications.pool import Pool, Stale, cause
from oms_sms.settings import SmsSettings

# A no that is not about this text: no login, wrong address, in progress, too early, too many. It may be mended.
_MENDABLE = {401, 403, 404, 405, 407, 408, 409, 425, 429}
_ANSWER_LIMIT = 64 * 1024


class HttpSmsProvider:
    """Posts texts as JSON. The Idempotency-Key is the same for every attempt: by it the provider sends a text once,
    however often it is asked to; so a call that ended in doubt is simply made again."""

    def __init__(self, settings: SmsSettings) -> None:
        url = urlsplit(settings.sms_url)
        self._settings, self._host = settings, url.netloc
        self._tls = ssl.create_default_context() if url.scheme == "https" else None
        self._path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        self._pool = Pool(self._connect, HTTPConnection.close)

    def send(self, notice: Notice) -> Outcome:
        """Send one text."""
        text = {"to": notice.to, "from": self._settings.sms_from, "text": notice.text, "reference": notice.order_id}
        headers = {"Content-Type": "application/json", "Idempotency-Key": notice.key}
        if self._settings.sms_token is not None:
            headers["Authorization"] = f"Bearer {self._settings.sms_token.get_secret_value()}"
        body = json.dumps(text).encode()
        try:
            status, answer = self._pool.run(lambda connection: _post(connection, self._path, body, headers))
        except (OSError, HTTPException) as error:
            return Retry(f"sms: {cause(error)}")
        return _outcome(status, answer, notice)

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def _connect(self) -> HTTPConnection:
        timeout = self._settings.sms_timeout
        if self._tls is not None:
            return HTTPSConnection(self._host, timeout=timeout, context=self._tls)
        return HTTPConnection(self._host, timeout=timeout)


def _post(connection: HTTPConnection, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    try:
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
    except ConnectionError as error:
        raise Stale("the SMS provider hung up") from error
    answer = response.read(_ANSWER_LIMIT)
    if not response.isclosed():
        connection.close()  # there is more than anyone wants to read; the next use connects anew
    return response.status, answer


def _outcome(status: int, answer: bytes, notice: Notice) -> Outcome:
    if 200 <= status < 300:
        return sent(_provider_id(answer) or notice.key)
    if 400 <= status < 500 and status not in _MENDABLE:
        return refused(f"sms: {status}")
    return Retry(f"sms: {status}")


def _provider_id(answer: bytes) -> str | None:
    try:
        parsed: Any = json.loads(answer)
    except ValueError:
        return None
    found = parsed.get("id") if isinstance(parsed, dict) else None
    return found[:200] if isinstance(found, str) else None
