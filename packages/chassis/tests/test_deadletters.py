"""Brokers accept every dead letter, whatever record it is made from."""

import pytest

from oms_chassis.messaging import deadletters
from oms_chassis.messaging.streams import RECORD_LIMIT, Headers, Outgoing, Record


def letter(key: bytes | None, value: bytes | None, headers: Headers = ()) -> Outgoing:
    return deadletters.letter("order", Record("itemUpdatedEvent", 0, 7, key, value, headers), "LookupError")


def said(letter: Outgoing) -> dict[str, bytes | None]:
    return dict(letter.headers)


def size(letter: Outgoing) -> int:
    headers = sum(len(name.encode()) + len(value or b"") for name, value in letter.headers)
    return len(letter.key or b"") + len(letter.value or b"") + headers


def test_a_record_is_kept_byte_for_byte_with_the_reason_and_its_origin() -> None:
    made = letter(b"\xff", b"\x00", [("name", b"\xfe")])
    assert (made.topic, made.key, made.value) == ("order.deadletter", b"\xff", b"\x00")
    assert said(made) == {
        "name": b"\xfe",
        "oms-error": b"LookupError",
        "oms-topic": b"itemUpdatedEvent",
        "oms-partition": b"0",
        "oms-offset": b"7",
    }


def test_a_record_without_key_and_value_gets_an_empty_value_and_a_header_says_so() -> None:
    made = letter(None, None)
    assert (made.key, made.value) == (None, b"")
    assert said(made)["oms-null-value"] == b"true"


def test_a_tombstone_stays_a_tombstone() -> None:
    made = letter(b"key", None)
    assert (made.key, made.value) == (b"key", None)
    assert "oms-null-value" not in said(made)


def test_a_header_without_a_value_becomes_an_empty_one_and_is_named() -> None:
    made = letter(b"key", b"value", [("a", None), ("b", b""), ("c", None)])
    assert said(made)["a"] == said(made)["b"] == b""
    assert said(made)["oms-null-headers"] == b"a,c"


def test_a_header_s_name_loses_the_character_that_the_outbox_cannot_store() -> None:
    assert "a\ufffdb" in said(letter(b"key", b"value", [("a\0b", b"")]))


MUCH = RECORD_LIMIT + 2_000_000


@pytest.mark.parametrize(
    ("key", "value", "headers"),
    [
        (b"key", b"v" * MUCH, [("name", b"kept")]),
        (b"k" * MUCH, b"value", []),
        (b"key", b"value", [("name", b"h" * MUCH)]),
        (b"key", b"value", [(f"{number}", None) for number in range(500_000)]),
        (b"k" * MUCH, b"v" * MUCH, [("n" * MUCH, b"h")]),
        (None, b"v" * RECORD_LIMIT, []),
    ],
)
def test_a_record_that_is_too_large_is_shortened_and_its_original_size_named(
    key: bytes | None, value: bytes | None, headers: Headers
) -> None:
    made = letter(key, value, headers)
    assert RECORD_LIMIT - 200_000 < size(made) < RECORD_LIMIT or size(made) < 1000
    assert said(made)["oms-original-key-size"] == str(len(key or b"")).encode()
    assert said(made)["oms-original-value-size"] == str(len(value or b"")).encode()
    assert said(made)["oms-original-headers"] == str(len(headers)).encode()


def test_a_large_value_leaves_key_and_headers_whole() -> None:
    made = letter(b"key", b"v" * MUCH, [("name", b"kept")])
    assert (made.key, said(made)["name"]) == (b"key", b"kept")
    assert made.value is not None
    assert len(made.value) > RECORD_LIMIT - 100_000
