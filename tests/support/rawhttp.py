"""Requests to the order service as bytes or with any header, and the kinds of problems that it answers."""

import json
import socket
from typing import Any
from urllib.parse import urlsplit

import httpx2

from oms_order.requests import SAMPLE

BODY = json.dumps(SAMPLE).encode()
JSON = {"Content-Type": "application/json"}
UNKNOWN = "0198c0de-0000-7000-8000-000000000000"


def post(service: Any, body: bytes = BODY, **headers: str) -> httpx2.Response:
    """POST /order with headers by their names, in which an underscore is a hyphen."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response: httpx2.Response = service.client.post("/order", content=body, headers={**JSON, **named})
    return response


def kind(response: httpx2.Response) -> tuple[int, str]:
    """The status and the kind of a problem."""
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["type"].removeprefix("/problems/")


def connected(service: Any) -> socket.socket:
    """A connection to the service's public port."""
    address = urlsplit(str(service.client.base_url))
    return socket.create_connection((address.hostname or "", address.port or 0), timeout=20)


def sent(service: Any, data: bytes) -> bytes:
    """All that comes back on a connection, until the server closes it."""
    with connected(service) as connection:
        connection.sendall(data)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def request(head: str, body: bytes = b"") -> bytes:
    """The bytes of a request whose head is written with plain line ends."""
    return head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body
