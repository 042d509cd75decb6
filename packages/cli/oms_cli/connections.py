"""How `oms` connects to services: directly, whatever proxy the environment names, and to whom it trusts."""

import re
import ssl
from collections.abc import Mapping
from functools import cache

import httpx2

from oms_notifications import failures
from oms_servers.errors import LocalError

TIMEOUT = httpx2.Timeout(10.0, read=60.0)


def client(headers: Mapping[str, str]) -> httpx2.Client:
    """A client that sends these headers. LocalError if it is to trust a file that holds no certificates."""
    return httpx2.Client(headers=headers, timeout=TIMEOUT, trust_env=False, verify=_authorities())


@cache
def _authorities() -> ssl.SSLContext:
    """Whom the machine trusts, or those that SSL_CERT_FILE or SSL_CERT_DIR names: OMS may be within a network that has
    an authority of its own."""
    try:
        return httpx2.create_ssl_context()
    except OSError:
        raise LocalError("SSL_CERT_FILE or SSL_CERT_DIR names no certificates (PEM) that can be read") from None


def shown(url: str) -> str:
    """A URL, or a text with one, without the password that may be in it."""
    return re.sub(r"(?<=//)[^/?#\s]*@", "", url)


def distrust(error: BaseException | None) -> str | None:
    """What is wrong with the other side's TLS, if it is that for which nothing was sent."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__context__
    return None if error is None else failures.name(error)
