"""HTTP as its users speak it: what RFC 9110 leaves to nobody, and what could be understood in two ways."""

import gzip
import json
import re
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2
import pytest
from support.chassis import eventually

from oms_chassis.http import http1
from oms_order.requests import SAMPLE

BODY = json.dumps(SAMPLE).encode()
JSON = {"Content-Type": "application/json"}
UNKNOWN = "0198c0de-0000-7000-8000-000000000000"


def post(service: Any, body: bytes = BODY, **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response: httpx2.Response = service.client.post("/order", content=body, headers={**JSON, **named})
    return response


def kind(response: httpx2.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["type"].removeprefix("/problems/")


def sent(service: Any, data: bytes) -> bytes:
    """All that comes back on a connection, until the server closes it."""
    address = urlsplit(str(service.client.base_url))
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=20) as connection:
        connection.sendall(data)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def request(head: str, body: bytes = b"") -> bytes:
    return head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body


def test_head_is_get_without_the_body(service: Any) -> None:
    location = post(service).headers["location"]
    for address in ("/order", "/order?limit=1&status=PENDING", location):
        got, head = service.client.get(address), service.client.head(address)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == got.headers["content-length"]
        assert head.headers["content-type"] == got.headers["content-type"]


@pytest.mark.parametrize(
    ("address", "status"), [(f"/order/{UNKNOWN}", 404), ("/order?Status=PAID", 422), ("/nowhere", 404)]
)
def test_head_is_refused_as_get_is(service: Any, address: str, status: int) -> None:
    assert service.client.head(address).status_code == service.client.get(address).status_code == status


def test_a_stream_has_no_head(service: Any) -> None:
    response = service.client.head(f"{post(service).headers['location']}/events")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, OPTIONS")


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("/order", "GET, HEAD, OPTIONS, POST"),
        (f"/order/{UNKNOWN}", "GET, HEAD, OPTIONS"),
        (f"/order/{UNKNOWN}/cancel", "OPTIONS, POST"),
    ],
)
def test_an_address_says_what_it_takes(service: Any, address: str, allowed: str) -> None:
    asked, refused = service.client.options(address), service.client.request("TRACE", address)
    assert (asked.status_code, asked.content, asked.headers["allow"]) == (204, b"", allowed)
    assert (kind(refused), refused.headers["allow"]) == ((405, "method-not-allowed"), allowed)


def test_an_address_that_is_none_takes_nothing(service: Any) -> None:
    assert kind(service.client.options("/nowhere"))[0] == 404


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, identity"])
def test_a_compressed_body_is_refused_with_what_would_be_taken(service: Any, encoding: str) -> None:
    response = post(service, gzip.compress(BODY), Content_Encoding=encoding)
    assert kind(response) == (415, "unsupported-encoding")
    assert response.headers["accept-encoding"] == "identity"
    assert service.rows("orders") == 0


def test_an_encoding_that_comes_in_two_lines_is_a_list_of_both(service: Any) -> None:
    fields = "POST /order HTTP/1.1\nHost: a\nContent-Type: application/json\nConnection: close\nContent-Length: "
    zipped = gzip.compress(BODY)
    for both in ("gzip\nContent-Encoding: identity", "identity\nContent-Encoding: gzip"):
        answer = sent(service, request(f"{fields}{len(zipped)}\nContent-Encoding: {both}", zipped))
        assert answer.startswith(b"HTTP/1.1 415 ")
        assert b"/problems/unsupported-encoding" in answer


def test_the_encoding_identity_is_none(service: Any) -> None:
    assert post(service, Content_Encoding="identity").status_code == 202


@pytest.mark.parametrize("charset", ["iso-8859-1", "utf-16", '"latin1"', "nonsense", "", "utf-8; charset=utf-16"])
def test_another_charset_is_refused(service: Any, charset: str) -> None:
    assert kind(post(service, Content_Type=f"application/json; charset={charset}")) == (415, "unsupported-charset")


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf-8"', "us-ascii"])
def test_the_charset_that_json_has_is_taken(service: Any, charset: str) -> None:
    assert post(service, Content_Type=f"application/json;charset={charset}").status_code == 202


@pytest.mark.parametrize("end", [";" * 30_000, '; a="' + ";" * 30_000, ";a=b" * 7_000])
def test_a_type_without_end_is_refused_before_it_is_read(service: Any, end: str) -> None:
    """A second for each would do for a client that wants nobody else to be served."""
    assert kind(post(service, Content_Type=f"application/json; charset=utf-8{end}")) == (415, "unsupported-charset")


@pytest.mark.parametrize(
    "headers", [{"Content-Type": "application/json; charset=iso-8859-1"}, {"Content-Encoding": "gzip"}]
)
def test_what_is_said_of_a_body_that_there_is_not_matters_to_nobody(service: Any, headers: dict[str, str]) -> None:
    assert service.client.get("/order", headers=headers).status_code == 200
    order_id = post(service).json()["id"]
    assert service.client.post(f"/order/{order_id}/cancel", headers=headers).status_code == 202


def test_a_byte_order_mark_before_the_body_is_passed_over(service: Any) -> None:
    assert post(service, b"\xef\xbb\xbf" + BODY).status_code == 202


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_a_body_that_is_not_utf_8_is_no_json(service: Any, encoding: str) -> None:
    assert kind(post(service, BODY.decode().encode(encoding))) == (400, "malformed-json")


@pytest.mark.parametrize(
    ("there", "instead", "field"),
    [
        (b'"quantity": 2', b'"quantity": 2, "quantity": 9', "quantity"),
        (b'"cvv": "123"', b'"cvv": "123", "cvv": "124"', "cvv"),
        (b'"items":', b'"items": [], "items":', "items"),
    ],
)
def test_a_name_that_is_given_twice_is_refused(service: Any, there: bytes, instead: bytes, field: str) -> None:
    response = post(service, BODY.replace(there, instead))
    assert kind(response) == (422, "repeated-field")
    assert response.json()["errors"] == [{"field": field, "message": "must be given once"}]
    assert service.rows("orders") == 0


@pytest.mark.parametrize("value", [b"NaN", b"Infinity", b"-1", b"2.5", b"25e-1", b"1" + b"0" * 400, b'"2"', b"true"])
def test_a_quantity_that_is_no_whole_number_is_refused(service: Any, value: bytes) -> None:
    response = post(service, BODY.replace(b'"quantity": 2', b'"quantity": ' + value))
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == ["items[0].quantity"]


def test_a_number_longer_than_any_reader_takes_is_no_json(service: Any) -> None:
    assert kind(post(service, BODY.replace(b'"quantity": 2', b'"quantity": ' + b"9" * 5000))) == (400, "malformed-json")


def test_half_a_character_is_no_json(service: Any) -> None:
    assert kind(post(service, BODY.replace(b'"Anjana"', rb'"\ud800"'))) == (400, "malformed-json")


@pytest.mark.parametrize("name", ["محمد علي", "Zoe\u0308", "\U0001f600 Ada", "李小龍", "O'Brien-Şahin"])
def test_a_name_in_any_script_comes_back_as_it_was_sent(service: Any, name: str) -> None:
    body = {**SAMPLE, "customer": {**SAMPLE["customer"], "name": name}}
    location = post(service, json.dumps(body, ensure_ascii=False).encode()).headers["location"]
    assert service.client.get(location).json()["customer"]["name"] == name


@pytest.mark.parametrize("phone", ["٠٧٦٢٢٢٢٢٢٢", "\uff17\uff16\uff12\uff12\uff12\uff12\uff12\uff12\uff12"])
def test_digits_of_other_scripts_are_digits(service: Any, phone: str) -> None:
    body = {**SAMPLE, "customer": {**SAMPLE["customer"], "phoneNumber": phone}}
    location = post(service, json.dumps(body).encode()).headers["location"]
    assert service.client.get(location).json()["customer"]["phoneE164"] == "+94762222222"


@pytest.mark.parametrize(
    ("email", "asked"),
    [
        ("Test@GMAIL.com", ["test@gmail.com", "TEST@GMAIL.COM"]),
        ("ana@xn--bcher-kva.example", ["ana@xn--bcher-kva.example", "ana@bücher.example"]),
        ("ana@bücher.example", ["ana@xn--bcher-kva.example", "ANA@bücher.example"]),
        (
            "Zoë.Ö@Bücher.example",
            ["ZOË.Ö@BÜCHER.EXAMPLE", "zoë.ö@bücher.example", "zoE\u0308.O\u0308@xn--bcher-kva.example"],
        ),
        ("ДАША@пример.example", ["даша@ПРИМЕР.example", "Даша@пример.example"]),
    ],
)
def test_an_order_is_found_by_its_email_however_that_is_written(service: Any, email: str, asked: list[str]) -> None:
    post(service, json.dumps({**SAMPLE, "customer": {**SAMPLE["customer"], "email": email}}).encode())
    for one in asked:
        assert len(service.client.get("/order", params={"email": one}).json()) == 1


def test_an_email_whose_plus_was_sent_as_it_is_is_not_looked_for_as_another(service: Any) -> None:
    post(service, json.dumps({**SAMPLE, "customer": {**SAMPLE["customer"], "email": "ana+tag@example.com"}}).encode())
    assert len(service.client.get("/order?email=ana%2Btag@example.com").json()) == 1
    response = service.client.get("/order?email=ana+tag@example.com")
    assert kind(response) == (422, "invalid-request")
    assert response.json()["errors"] == [{"field": "email", "message": "must have its + encoded as %2B"}]


def test_an_id_may_be_percent_encoded_and_is_otherwise_as_it_was_given(service: Any) -> None:
    order_id = post(service).json()["id"]
    encoded = "".join(f"%{ord(character):02X}" for character in order_id)
    assert service.client.get(f"/order/{encoded}").json()["id"] == order_id
    for other in (
        order_id.upper(),
        order_id.replace("-", ""),
        f"{{{order_id}}}",
        f"{order_id}%00",
        quote("../order", safe=""),
    ):
        assert kind(service.client.get(f"/order/{other}"))[0] == 404


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
def test_a_request_without_a_host_or_with_one_that_is_none_is_refused(service: Any, host: str) -> None:
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


def test_a_trailer_is_no_header(service: Any) -> None:
    head = (
        "POST /order HTTP/1.1\nHost: a\nContent-Type: application/json\nIdempotency-Key: a\nTransfer-Encoding: chunked"
    )
    body = b"%x\r\n%b\r\n0\r\nIdempotency-Key: b\r\n\r\n" % (len(BODY), BODY)
    answer = sent(service, request(head, body) + request("GET /order HTTP/1.1\nHost: a\nConnection: close"))
    assert re.findall(rb"HTTP/1\.1 (\d+) ", answer) == [b"202", b"200"]


def test_a_head_just_under_the_limit_is_read(service: Any) -> None:
    answer = sent(service, request(f"GET /order HTTP/1.1\nHost: a\nX-Large: {'x' * 32_000}\nConnection: close"))
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_requests_before_what_is_none_are_answered_and_nothing_is_taken_for_their_answer(service: Any) -> None:
    one = request("GET /order HTTP/1.1\nHost: a")
    other = request(f"GET /order/{UNKNOWN} HTTP/1.1\nHost: a")
    answers = sent(service, one + other + b"no HTTP\r\n\r\n")
    assert re.findall(rb"HTTP/1\.1 (\d+) ", answers) == [b"200", b"404"]


@pytest.mark.parametrize(
    "data",
    [b"no HTTP\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"],
)
def test_what_is_no_request_is_answered_with_a_problem(service: Any, data: bytes) -> None:
    head, _, body = sent(service, data).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: application/problem+json" in head
    assert json.loads(body)["type"] == "/problems/bad-request"


def test_a_name_that_is_given_twice_is_not_repeated_if_it_may_be_a_card(service: Any) -> None:
    response = post(service, b'{"4929123456781234": 1, "4929123456781234": 2}')
    assert kind(response) == (422, "repeated-field")
    assert "4929" not in response.text


@pytest.mark.parametrize("since", ["0.5", "1700000000", "1700000000000", "-1", "2026-01-31"])
def test_a_time_is_no_number(service: Any, since: str) -> None:
    response = service.client.get("/order", params={"since": since})
    assert kind(response) == (422, "invalid-request")
    assert [error["field"] for error in response.json()["errors"]] == ["since"]


def test_what_proxies_say_of_themselves_changes_no_answer(service: Any) -> None:
    plain = post(service)
    forwarded = post(
        service, X_Forwarded_Host="evil.example", X_Forwarded_Proto="https", Forwarded="host=evil.example", Via="1.1 p"
    )
    assert forwarded.status_code == 202
    assert forwarded.headers["location"].startswith("/order/")
    assert set(plain.headers) == set(forwarded.headers)


def test_another_method_in_a_header_is_no_method(service: Any) -> None:
    assert post(service, X_HTTP_Method_Override="DELETE").status_code == 202


def test_a_client_that_waits_for_leave_to_send_gets_it(service: Any) -> None:
    head = f"POST /order HTTP/1.1\nHost: a\nContent-Type: application/json\nContent-Length: {len(BODY)}"
    answer = sent(service, request(f"{head}\nExpect: 100-continue\nConnection: close", BODY))
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 ")


def test_a_target_in_absolute_form_is_the_same_address(service: Any) -> None:
    answer = sent(service, request("GET http://shop.example/order HTTP/1.1\nHost: shop.example\nConnection: close"))
    assert answer.startswith(b"HTTP/1.1 200 ")


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
    """The parser takes two more: a proxy may have read something else in the same bytes."""
    head = f"{line}\nHost: a\nContent-Type: application/json\nContent-Length: {len(BODY)}"
    answers = sent(service, request(head, BODY) + request("GET /order HTTP/1.1\nHost: a"))
    assert re.findall(rb"HTTP/1\.1 (\d+) ", answers) == [b"400"]
    assert service.rows("orders") == 0


def test_a_client_that_goes_away_in_the_middle_of_its_body_is_no_error_of_ours(start: Callable[..., Any]) -> None:
    service = start()
    address = urlsplit(str(service.client.base_url))
    head = f"POST /order HTTP/1.1\nHost: a\nContent-Type: application/json\nContent-Length: {len(BODY) + 10}"
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=20) as connection:
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
    address = urlsplit(str(service.client.base_url))
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(data), 7):
            connection.sendall(data[start : start + 7])
        assert connection.recv(65536).startswith(b"HTTP/1.1 202 ")
