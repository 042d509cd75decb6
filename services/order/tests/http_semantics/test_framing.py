"""Where a request ends, which version it is in, and what becomes of the connection."""

import json
import re
import socket
from collections.abc import Callable
from typing import Any

import pytest
from support.chassis import eventually
from support.rawhttp import BODY, UNKNOWN, connected, request, sent

from oms_chassis.http import http1


def test_requests_before_what_is_none_are_answered_and_nothing_is_taken_for_their_answer(service: Any) -> None:
    one = request("GET /order HTTP/1.1\nHost: a")
    other = request(f"GET /order/{UNKNOWN} HTTP/1.1\nHost: a")
    answers = sent(service, one + other + b"no HTTP\r\n\r\n")
    assert re.findall(rb"HTTP/1\.1 (\d+) ", answers) == [b"200", b"404"]


@pytest.mark.parametrize(
    "data",
    [b"no HTTP\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"],
)
def test_an_invalid_request_is_answered_with_a_problem(service: Any, data: bytes) -> None:
    head, _, body = sent(service, data).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: application/problem+json" in head
    assert json.loads(body)["type"] == "/problems/bad-request"


def test_a_client_that_waits_for_leave_to_send_gets_it(service: Any) -> None:
    head = f"POST /order HTTP/1.1\nHost: a\nContent-Type: application/json\nContent-Length: {len(BODY)}"
    answer = sent(service, request(f"{head}\nExpect: 100-continue\nConnection: close", BODY))
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 ")


def test_requests_that_are_sent_together_are_answered_in_their_order(service: Any) -> None:
    one = request("GET /order HTTP/1.1\nHost: a")
    other = request(f"GET /order/{UNKNOWN} HTTP/1.1\nHost: a")
    last = request("GET /order HTTP/1.1\nHost: a\nConnection: close")
    answers = sent(service, one + other + one + last)
    assert re.findall(rb"HTTP/1\.1 (\d+) ", answers) == [b"200", b"404", b"200", b"200"]


@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: 5\nTransfer-Encoding: chunked",
        "Content-Length: 5\nContent-Length: 6",
        "Content-Length: -5",
        "Content-Length: +5",
        "Transfer-Encoding: chunked, identity",
    ],
)
def test_a_body_whose_end_is_uncertain_is_refused_and_the_connection_ends(service: Any, framing: str) -> None:
    head = f"POST /order HTTP/1.1\nHost: a\nContent-Type: application/json\n{framing}"
    answer = sent(service, request(head, b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert service.rows("orders") == 0


@pytest.mark.parametrize(
    "codings",
    ["gzip, chunked", "identity, chunked", "x, chunked", "gzip\nTransfer-Encoding: chunked", "chunked, chunked"],
)
def test_a_body_that_was_changed_on_its_way_is_refused_and_the_connection_ends(service: Any, codings: str) -> None:
    head = f"POST /order HTTP/1.1\nHost: a\nContent-Type: application/json\nTransfer-Encoding: {codings}"
    answer = sent(service, request(head, b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)))
    assert re.findall(rb"HTTP/1\.1 (\d+) ", answer) in ([b"501"], [b"400"])
    assert service.rows("orders") == 0


@pytest.mark.parametrize("coding", ["chunked", "Chunked", " chunked "])
def test_a_body_in_chunks_is_taken_however_that_is_written(service: Any, coding: str) -> None:
    head = (
        f"POST /order HTTP/1.1\nHost: a\nContent-Type: application/json\nConnection: close\nTransfer-Encoding: {coding}"
    )
    answer = sent(service, request(head, b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)))
    assert answer.startswith(b"HTTP/1.1 202 ")


def test_chunks_in_a_request_of_http_1_0_are_refused(service: Any) -> None:
    head = "POST /order HTTP/1.0\nContent-Type: application/json\nTransfer-Encoding: chunked"
    answer = sent(service, request(head, b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert service.rows("orders") == 0


@pytest.mark.parametrize(
    "line", ["POST /order HTTP/2.0", "POST /order HTTP/3.0", "POST /order HTTP/0.9", "POST /order"]
)
def test_another_major_version_of_http_is_refused_and_the_connection_ends(service: Any, line: str) -> None:
    head = f"{line}\nHost: a\nContent-Type: application/json\nContent-Length: {len(BODY)}"
    head_of_answer, _, body = sent(service, request(head, BODY) + request("GET /order HTTP/1.1\nHost: a")).partition(
        b"\r\n\r\n"
    )
    assert head_of_answer.startswith(b"HTTP/1.1 505 ")
    assert b"connection: close" in head_of_answer
    assert json.loads(body)["type"] == "/problems/http-version-not-supported"
    assert service.rows("orders") == 0


def test_what_begins_http_2_at_once_is_refused_as_another_version(service: Any) -> None:
    answer = sent(service, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
    assert answer.startswith(b"HTTP/1.1 505 ")


def test_another_version_is_refused_after_the_requests_before_it(service: Any) -> None:
    answers = sent(service, request("GET /order HTTP/1.1\nHost: a") + request("GET /order HTTP/2.0\nHost: a"))
    assert re.findall(rb"HTTP/1\.1 (\d+) ", answers) in ([b"200"], [b"200", b"505"])


@pytest.mark.parametrize(
    "line",
    [
        *(f"POST /order {one}" for one in ("RTSP/1.0", "RTSP/1.1", "RTSP/2.0", "RTSP/3.0", "X/1.1", "http/1.1")),
        "POST  /order  RTSP/1.0", "OPTIONS * RTSP/1.0", "DESCRIBE /order RTSP/1.0", "SOURCE /order ICE/1.0",
    ],
)  # fmt: skip
def test_another_protocol_is_refused_and_the_connection_ends(service: Any, line: str) -> None:
    """The parser accepts two more: a proxy may have read something else in the same bytes."""
    head = f"{line}\nHost: a\nContent-Type: application/json\nContent-Length: {len(BODY)}"
    answers = sent(service, request(head, BODY) + request("GET /order HTTP/1.1\nHost: a"))
    assert re.findall(rb"HTTP/1\.1 (\d+) ", answers) == [b"400"]
    assert service.rows("orders") == 0


def test_a_client_that_goes_away_in_the_middle_of_its_body_is_no_error_of_ours(start: Callable[..., Any]) -> None:
    service = start()
    head = f"POST /order HTTP/1.1\nHost: a\nContent-Type: application/json\nContent-Length: {len(BODY) + 10}"
    with connected(service) as connection:
        connection.sendall(request(head, BODY))

    def counted(status: str) -> float:
        labels = {"method": "POST", "route": "/order", "status": status}
        return service.registry.get_sample_value("oms_http_request_seconds_count", labels) or 0.0

    eventually(lambda: counted("499") == 1.0)
    assert counted("500") == 0.0
    assert service.rows("orders") == 0


SLOW = "POST /order HTTP/1.1\nHost: a\nContent-Type: application/json"


BEGUN = [
    b"G",
    b"GET /order HTTP/1.1\r\nHost: a\r\nX-Slow: ",
    request(f"{SLOW}\nContent-Length: 100"),
    request(f"{SLOW}\nContent-Length: 100", b"{"),
    request(f"{SLOW}\nTransfer-Encoding: chunked", b"5\r\n{"),
]


@pytest.mark.parametrize("begun", BEGUN)
@pytest.mark.parametrize("before", [[], [b"200"]])
def test_a_request_that_does_not_come_to_its_end_is_refused_and_holds_no_connection(
    service: Any, monkeypatch: pytest.MonkeyPatch, before: list[bytes], begun: bytes
) -> None:
    monkeypatch.setattr(http1, "WHOLE", 0.5)
    answers = sent(service, request("GET /order HTTP/1.1\nHost: a") * len(before) + begun)
    assert re.findall(rb"HTTP/1\.1 (\d+) ", answers) == [*before, b"408"]
    assert service.rows("orders") == 0


def test_a_request_that_comes_in_pieces_and_in_time_is_answered(service: Any) -> None:
    data = request(f"{SLOW}\nContent-Length: {len(BODY)}\nConnection: close", BODY)
    with connected(service) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(data), 7):
            connection.sendall(data[start : start + 7])
        assert connection.recv(65536).startswith(b"HTTP/1.1 202 ")
