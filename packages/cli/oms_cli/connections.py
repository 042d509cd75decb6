"""Connections to services: without a proxy, whatever the environment names, and with the certificates to trust."""

import re
import ssl
from collections.abc import Mapping
from functools import cache

import httpx2

from oms_notifications import failures
from oms_servers.errors import LocalError

TIMEOUT = httpx2.Timeout(10.0, read=60.0)


def client(headers: Mapping[str, str]) -> httpx2.Client:
    """Return a client that sends these headers. Raises LocalError if the file to trust has no certificates."""
    return httpx2.Client(headers=headers, timeout=TIMEOUT, trust_env=False, verify=_authorities())


@cache
def _authorities() -> ssl.SSLContext:
    """Trust the machine's authorities, or those in SSL_CERT_FILE or SSL_CERT_DIR: a network may have its own."""
    try:
        return httpx2.create_ssl_context()
    except OSError:
        raise LocalError("SSL_CERT_FILE or SSL_CERT_DIR names no certificates (PEM) that can be read") from None


def shown(url: str) -> str:
    """Return a URL, or a text with one, without any password in it."""
    return re.sub(r"(?<=//)[^/?#\s]*@", "", url)


def distrust(error: BaseException | None) -> str | None:
    """Return what is wrong with the server's TLS, if that is why nothing was sent."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__context__
    return None if error is None else failures.name(error)
