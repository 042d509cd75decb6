"""One set of trusted certificates for all HTTP clients of a test process.

To read them takes 35 ms of CPU, which httpx2 spends for each client, and thus for each `httpx2.get`. Many tests make a
client for themselves, and some a request each 20 ms until a service answers.
"""

import os
import ssl
from functools import cache
from typing import Any

from httpx2 import create_ssl_context
from httpx2._transports import default as transports


def share_certificates() -> None:
    """From now on, clients that trust what httpx2 trusts by itself share one context."""
    transports.create_ssl_context = _context  # type: ignore[attr-defined] # httpx2 has no other place for it


def _context(verify: Any = True, cert: Any = None, trust_env: bool = True) -> ssl.SSLContext:
    if verify is not True or cert is not None:
        return create_ssl_context(verify, cert, trust_env)
    return _trusted(trust_env, os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@cache
def _trusted(trust_env: bool, _file: str | None, _folder: str | None) -> ssl.SSLContext:
    """What httpx2 reads by itself, which it may take from other places once these variables differ."""
    return create_ssl_context(trust_env=trust_env)
