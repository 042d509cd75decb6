"""Whatever bytes come on a connection, the service answers what HTTP has for it, and never with a fault of its own."""

import json
import os
import re
import socket
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oms_chassis.http import http1
from oms_order.requests import SAMPLE

BODY = json.dumps(SAMPLE).encode()
REFUSALS = {501, 505}  # another transfer coding, and another version of HTTP
SILENCE = 2.0  # seconds after which no answer is waited for
# The server of most tests serves all examples, whose orders do not matter.
MANY = settings(
    max_examples=int(os.environ.get("OMS_EXAMPLES", "150")),  # `make fuzz` takes its time
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
PLACES = [
    (),
    ("customer",),
    ("customer", "email"),
    ("customer", "phoneNumber"),
    ("items",),
    ("paymentDetails", "expiryDate"),
]
PARAMETERS = ["status", "email", "since", "limit", "cursor", "x"]
FRAMING = st.sampled_from(
    [
        b"Content-Length: %d" % len(BODY),
        b"Content-Length: 0",
        b"Content-Length: 99999999",
        b"Transfer-Encoding: chunked",
    ]
) | st.binary(max_size=30).map(lambda value: b"Content-Length: " + value.replace(b"\r", b"").replace(b"\n", b""))
LINE = st.sampled_from([b"POST /order HTTP/1.1", b"GET /order HTTP/1.1", b"POST /order HTTP/1.0", b"PRI * HTTP/2.0"])
HEADER = st.binary(max_size=40).map(lambda value: b"X-Any: " + value)


def statuses(service: Any, data: bytes) -> list[int]:
    """Return the statuses of all answers to these bytes. A client that closes its side has gone and gets no answer."""
    address = urlsplit(str(service.client.base_url))
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=20) as connection:
        connection.sendall(data)
        connection.settimeout(SILENCE)
        answer = b""
        # It may be refused before it is read; and what begins no request is answered by nothing.
        with suppress(ConnectionResetError, TimeoutError):
            while piece := connection.recv(65536):
                answer += piece
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", answer)]


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not come to its end is refused soon."""
    monkeypatch.setattr(http1, "WHOLE", 0.05)


@MANY
@given(
    line=LINE,
    headers=st.lists(HEADER, max_size=3),
    framing=FRAMING,
    cut=st.integers(0, 400),
    tail=st.binary(max_size=60),
)
def test_no_request_however_it_is_framed_is_a_fault_of_the_service(
    service: Any, line: bytes, headers: list[bytes], framing: bytes, cut: int, tail: bytes
) -> None:
    head = b"\r\n".join([line, b"Host: a", b"Content-Type: application/json", *headers, framing, b"Connection: close"])
    found = statuses(service, head + b"\r\n\r\n" + BODY[:cut] + tail)
    assert found
    assert max({*found} - REFUSALS, default=0) < 500


@MANY
@given(data=st.binary(max_size=200))
def test_no_bytes_at_all_are_a_fault_of_the_service(service: Any, data: bytes) -> None:
    assert max({*statuses(service, data)} - REFUSALS, default=0) < 500


@MANY
@given(
    value=ANY_JSON,
    place=st.sampled_from(PLACES),
)
def test_no_json_is_a_fault_of_the_service_and_each_refusal_is_a_problem(
    service: Any, value: Any, place: tuple[str, ...]
) -> None:
    body = json.loads(BODY)
    inner = body
    for name in place[:-1]:
        inner = inner[name]
    if place:
        inner[place[-1]] = value
    sent = json.dumps(body if place else value).encode()
    response = service.client.post("/order", content=sent, headers={"Content-Type": "application/json"})
    assert response.status_code in {202, 400, 409, 422}
    if response.status_code != 202:
        assert response.headers["content-type"] == "application/problem+json"


@MANY
@given(query=st.dictionaries(st.sampled_from(PARAMETERS), st.text(max_size=30)))
def test_no_query_is_a_fault_of_the_service(service: Any, query: dict[str, str]) -> None:
    assert service.client.get("/order", params=query).status_code in {200, 422}
