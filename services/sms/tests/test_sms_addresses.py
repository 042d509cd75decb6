"""Where texts are sent, and settings by which none could be."""

import socket
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError
from support.texting import notice, provider, scripted, settings

from oms_chassis.jobs.queue import Paused
from oms_notifications.notice import sent

ADDRESSES = ["", "ftp://example.com", "example.com/sms", "http:///sms", "http://example.com/a b", "http://a.lk/ä"]


@pytest.mark.parametrize("url", ADDRESSES)
def test_an_address_that_is_none_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(ValidationError, match="sms_url"):
        settings(url)


@pytest.mark.parametrize(
    ("address", "path"),
    [("", "/"), ("/", "/"), ("?key=1", "/?key=1"), ("/?key=1", "/?key=1"), ("/v1/sms?to=a@b", "/v1/sms?to=a@b")],
)
def test_a_text_goes_to_the_path_and_the_query_of_the_address(address: str, path: str) -> None:
    with scripted() as server, provider(f"http://127.0.0.1:{server.server_address[1]}{address}") as sms:
        assert sms.send(notice()) == sent("sms-7")
    assert [one["path"] for one in server.requests] == [path]


@pytest.mark.parametrize(
    "url", ["https://user:pass@a.lk/sms", "https://key@a.lk", "https://a.lk/sms#key", "https://a.lk#key", "https://a@"]
)
def test_what_would_not_be_sent_of_an_address_is_refused_with_where_a_token_belongs(url: str) -> None:
    with pytest.raises(ValidationError, match="OMS_SMS_TOKEN") as refusal:
        settings(url)
    assert {str(error["loc"][0]) for error in refusal.value.errors()} == {"sms_url"}
    assert "pass" not in str(refusal.value)


@pytest.mark.parametrize("host", ["sms..example.com", f"{'x' * 64}.example.com"])
def test_a_host_that_cannot_be_looked_up_is_refused_at_the_start(host: str) -> None:
    with pytest.raises(ValidationError, match="is no name of a host"):
        settings(f"http://{host}/sms")


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("https://[2001:db8::5]/sms", ("2001:db8::5", 443)),
        ("http://[2001:db8::abcd]", ("2001:db8::abcd", 80)),
        ("http://[2001:db8::5]:8080/sms", ("2001:db8::5", 8080)),
        ("https://example.com/sms", ("example.com", 443)),
    ],
)
def test_a_call_goes_to_the_host_and_the_port_of_the_address(
    monkeypatch: pytest.MonkeyPatch, url: str, where: tuple[str, int]
) -> None:
    asked: list[Any] = []

    def refuse(*address: Any, **_: Any) -> list[Any]:
        asked.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with provider(url) as sms:
        assert sms.send(notice()) == Paused("sms: ConnectionRefusedError")
    assert asked == [where]


@pytest.mark.parametrize("sender", ["  ", "OMS\n"])
def test_a_sender_that_nobody_can_see_is_refused_at_the_start(sender: str) -> None:
    with pytest.raises(ValidationError, match="sms_from"):
        settings("https://example.com/sms", sms_from=sender)


@pytest.mark.parametrize("port", ["0", "70000", "abc"])
def test_a_port_that_is_none_is_refused_at_the_start(port: str) -> None:
    with pytest.raises(ValidationError, match=r"[Pp]ort"):
        settings(f"http://example.com:{port}/sms")


@pytest.mark.parametrize("token", ["", "two words", "token\n", "tökèn"])
def test_a_token_that_no_header_can_carry_is_refused_at_the_start(token: str) -> None:
    with pytest.raises(ValidationError, match="visible ASCII"):
        settings("https://example.com/sms", sms_token=SecretStr(token))
