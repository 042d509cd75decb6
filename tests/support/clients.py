"""Shares one set of trusted certificates among all HTTP clients of a test process.

Reading them takes 35 ms of CPU, which httpx2 spends for each client, and so for each `httpx2.get`. Many tests make a
client of their own, and some send a request every 20 ms until a service answers.
"""

import os
import ssl
from functools import cache
from typing import Any

from httpx2 import create_ssl_context
from httpx2._transports import default as transports


def share_certificates() -> None:
    """Make all clients with httpx2's default trust share one context from now on."""
    transports.create_ssl_context = _context  # type: ignore[attr-defined] # httpx2 has no other place for it


def _context(verify: Any = True, cert: Any = None, trust_env: bool = True) -> ssl.SSLContext:
    if verify is not True or cert is not None:
        return create_ssl_context(verify, cert, trust_env)
    return _trusted(trust_env, os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@cache
def _trusted(trust_env: bool, _file: str | None, _folder: str | None) -> ssl.SSLContext:
    """Return httpx2's default context, which depends on these variables."""
    return create_ssl_context(trust_env=trust_env)
