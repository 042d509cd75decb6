"""Header fields: given twice, without a host, with blanks around them, or without end."""

import re
from typing import Any

import pytest
from support.rawhttp import BODY, JSON, kind, request, sent


@pytest.mark.parametrize("name", ["Idempotency-Key", "Content-Type"])
def test_a_header_that_is_given_twice_is_refused(service: Any, name: str) -> None:
    value = "application/json" if name == "Content-Type" else "key"
    headers = [(name, value), (name, value), *(JSON.items() if name != "Content-Type" else ())]
    response = service.client.post("/order", content=BODY, headers=headers)
    assert kind(response) == (400, "repeated-header")
    assert response.json()["errors"] == [{"field": name, "message": "must be given once"}]


def test_two_hosts_are_refused(service: Any) -> None:
    answer = sent(service, request("GET /order HTTP/1.1\nHost: a\nHost: b\nConnection: close"))
    assert answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("host", ["", "\nHost: a b", "\nHost: a/b", "\nHost: a:b", "\nHost: a@b", "\nHost: [a"])
def test_a_request_without_a_valid_host_is_refused(service: Any, host: str) -> None:
    answer = sent(service, request(f"GET /order HTTP/1.1{host}\nConnection: close"))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"/problems/bad-host"' in answer


@pytest.mark.parametrize(
    "host", ["a", "shop.example:9090", "127.0.0.1:1", "[::1]:9090", "_x.b\u00fccher".encode("idna").decode(), ""]
)
def test_every_host_that_an_address_can_have_is_taken(service: Any, host: str) -> None:
    assert sent(service, request(f"GET /order HTTP/1.1\nHost: {host}\nConnection: close")).startswith(b"HTTP/1.1 200 ")


def test_http_1_0_needs_no_host(service: Any) -> None:
    assert sent(service, request("GET /order HTTP/1.0")).startswith(b"HTTP/1.1 200 ")


AROUND = [f"{before}{{}}{after}" for before in ("", " ", "\t ") for after in (" ", "\t", " \t ")]


@pytest.mark.parametrize("around", AROUND)
def test_blanks_around_a_header_s_value_are_no_part_of_it(service: Any, around: str) -> None:
    fields = {
        "Host": "a",
        "Content-Type": "application/json",
        "Content-Length": str(len(BODY)),
        "Idempotency-Key": "key",
        "Expect": "100-continue",
        "Connection": "close",
    }
    lines = "".join(f"\n{name}:{around.format(value)}" for name, value in fields.items())
    answers = sent(service, request(f"POST /order HTTP/1.1{lines}", BODY))
    assert re.findall(rb"HTTP/1\.1 (\d+) ", answers) == [b"100", b"202"]
    assert b"idempotent-replayed: true" in sent(service, request(f"POST /order HTTP/1.1{lines}", BODY))


LARGE = ["X-Large: " + "x" * 40_000, "\n".join(f"X-{n}: {'x' * 1000}" for n in range(40))]


@pytest.mark.parametrize("fields", LARGE)
def test_a_head_over_the_limit_is_refused(service: Any, fields: str) -> None:
    answer = sent(service, request(f"GET /order HTTP/1.1\nHost: a\n{fields}"))
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b'"/problems/head-too-large"' in answer


def test_an_address_over_the_limit_is_refused(service: Any) -> None:
    assert sent(service, request(f"GET /order?email={'x' * 40_000} HTTP/1.1\nHost: a")).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("unfinished", [b"X-Large: ", b"X-Large", b"", b"X: y\r\nX-Large: "])
def test_a_head_that_does_not_end_is_refused(service: Any, unfinished: bytes) -> None:
    start = b"GET /order HTTP/1.1\r\nHost: a\r\n" + unfinished
    assert sent(service, start + b"x" * 400_000).startswith(b"HTTP/1.1 431 ")


def test_trailers_that_do_not_end_are_refused(service: Any) -> None:
    head = "POST /order HTTP/1.1\nHost: a\nContent-Type: application/json\nTransfer-Encoding: chunked"
    answer = sent(service, request(head, b"%x\r\n%b\r\n0\r\nX-Large: " % (len(BODY), BODY)) + b"x" * 700_000)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert service.rows("orders") == 0


def test_a_trailer_is_not_a_header(service: Any) -> None:
    head = (
        "POST /order HTTP/1.1\nHost: a\nContent-Type: application/json\nIdempotency-Key: a\nTransfer-Encoding: chunked"
    )
    body = b"%x\r\n%b\r\n0\r\nIdempotency-Key: b\r\n\r\n" % (len(BODY), BODY)
    answer = sent(service, request(head, body) + request("GET /order HTTP/1.1\nHost: a\nConnection: close"))
    assert re.findall(rb"HTTP/1\.1 (\d+) ", answer) == [b"202", b"200"]


def test_a_head_just_under_the_limit_is_read(service: Any) -> None:
    answer = sent(service, request(f"GET /order HTTP/1.1\nHost: a\nX-Large: {'x' * 32_000}\nConnection: close"))
    assert answer.startswith(b"HTTP/1.1 200 ")
