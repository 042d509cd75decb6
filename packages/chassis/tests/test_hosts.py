"""Names and addresses of hosts in settings."""

import pytest

from oms_chassis import hosts

NAMES = [
    "mail",
    "mail.example.com",
    "mail.example.com.",
    "a-b.c_d",
    "10.0.0.1",
    "::1",
    "fe80::1%eth0",
    "b\u00fccher.example",
]
NONE = [
    "",
    " ",
    " mail",
    "mail\n",
    "two words",
    "mail.example.com:587",
    "smtp://mail",
    "mail/",
    "[::1]",
    "a..b",
    "-a",
    "u@mail",
]


@pytest.mark.parametrize("host", NAMES)
def test_a_host_that_can_be_looked_up_is_accepted(host: str) -> None:
    assert hosts.checked(host) == host


@pytest.mark.parametrize("host", [*NONE, f"{'x' * 64}.example.com"])
def test_a_text_that_no_resolver_can_look_up_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="is no name of a host"):
        hosts.checked(host)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("kafka:9092", ["kafka:9092"]),
        ("kafka", ["kafka"]),
        ("a:1, b:2,\n", ["a:1", "b:2"]),
        ("[::1]:9092,::1", ["[::1]:9092", "::1"]),
        ("SASL_SSL://a:1", ["SASL_SSL://a:1"]),
    ],
)
def test_addresses_are_separated_by_commas(text: str, found: list[str]) -> None:
    assert hosts.addresses(text) == found


@pytest.mark.parametrize(
    "text", ["", " ", ",", "a:b", "a:0", "a:70000", "a:1/x", "a b:1", "u:p@a:1", "a:1;b:2", "a:1?x"]
)
def test_an_invalid_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be host:port"):
        hosts.addresses(text)
