"""Bodies in any encoding, and what is not JSON."""

import gzip
import json
from typing import Any

import pytest
from support.rawhttp import BODY, kind, post, request, sent

from oms_order.requests import SAMPLE


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
    """One second for each would be enough for a client that wants to keep others from being served."""
    assert kind(post(service, Content_Type=f"application/json; charset=utf-8{end}")) == (415, "unsupported-charset")


@pytest.mark.parametrize(
    "headers", [{"Content-Type": "application/json; charset=iso-8859-1"}, {"Content-Encoding": "gzip"}]
)
def test_headers_about_a_missing_body_are_ignored(service: Any, headers: dict[str, str]) -> None:
    assert service.client.get("/order", headers=headers).status_code == 200
    order_id = post(service).json()["id"]
    assert service.client.post(f"/order/{order_id}/cancel", headers=headers).status_code == 202


def test_a_byte_order_mark_before_the_body_is_passed_over(service: Any) -> None:
    assert post(service, b"\xef\xbb\xbf" + BODY).status_code == 202


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_a_body_that_is_not_utf_8_is_not_json(service: Any, encoding: str) -> None:
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
def test_a_quantity_that_is_not_a_whole_number_is_refused(service: Any, value: bytes) -> None:
    response = post(service, BODY.replace(b'"quantity": 2', b'"quantity": ' + value))
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == ["items[0].quantity"]


def test_a_number_longer_than_any_reader_accepts_is_not_json(service: Any) -> None:
    assert kind(post(service, BODY.replace(b'"quantity": 2', b'"quantity": ' + b"9" * 5000))) == (400, "malformed-json")


def test_half_a_character_is_not_json(service: Any) -> None:
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


def test_a_name_that_is_given_twice_is_not_repeated_if_it_may_be_a_card(service: Any) -> None:
    response = post(service, b'{"4929123456781234": 1, "4929123456781234": 2}')
    assert kind(response) == (422, "repeated-field")
    assert "4929" not in response.text
