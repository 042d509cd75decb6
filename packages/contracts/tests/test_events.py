"""What readers take and refuse, and that whatever a producer can make is what the committed schema says."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from oms_contracts import events, parts, topics
from oms_contracts.envelope import Event, Message
from oms_contracts.topics import TOPICS, Topic

SCHEMAS = Path(__file__).parents[1] / "schemas"
VALIDATORS = {
    topic.name: Draft202012Validator(json.loads((SCHEMAS / f"{topic.name}.json").read_text())) for topic in TOPICS
}


def made(kind: type[Message], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Message]:
    """Messages from these fields alone; st.builds would find fields of its own by their aliases."""
    return st.fixed_dictionaries(fields).map(lambda found: kind(**found))


words, ids = st.text(min_size=1, max_size=200), st.text(min_size=1, max_size=64)
amounts, counts = st.integers(0, 10**12), st.integers(1, 10**9)
currencies = st.from_regex("[A-Z]{3}", fullmatch=True)
customers = made(
    parts.Customer, name=words, email=words, phone_number=words, phone_e164=st.none() | st.just("+94762222222")
)
lines = made(parts.Line, item_id=ids, name=words, quantity=counts, unit_price=amounts)
cards = made(parts.PaymentMethod, token=words, brand=words, last4=st.text(min_size=4, max_size=4), expiry=words)
shortages = made(parts.Shortage, item_id=ids, requested=counts, available=amounts)
about: dict[str, Any] = {
    "order_id": ids,
    "customer": customers,
    "lines": st.lists(lines, min_size=1, max_size=3),
    "total": amounts,
    "currency": currencies,
}
refund: dict[str, Any] = {"order_id": ids, "refund_id": ids, "amount": counts, "currency": currencies}
refunded = made(parts.RefundedLine, item_id=ids, name=words, quantity=counts)
moments = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - as it asks
STRATEGIES: dict[Topic, st.SearchStrategy[Message]] = {
    topics.ORDER_CREATED: made(events.OrderCreated, **about, payment=cards, placed_at=moments),
    topics.PAYMENT_COMPLETED: made(events.PaymentCompleted, **about, payment_id=words),
    topics.PAYMENT_FAILED: made(events.PaymentFailed, **about, reason=words),
    topics.INVENTORY_UPDATED: made(events.InventoryUpdated, **about),
    topics.INVENTORY_REJECTED: made(
        events.InventoryRejected, **about, shortages=st.lists(shortages, min_size=1, max_size=3)
    ),
    topics.PAYMENT_REFUNDED: made(
        events.PaymentRefunded, order_id=ids, refund_id=words, amount=amounts, currency=currencies
    ),
    topics.ORDER_CANCELLED: made(events.OrderCancelled, **about, reason=words, again=st.none() | st.booleans()),
    topics.INVENTORY_RELEASED: made(
        events.InventoryReleased,
        order_id=ids,
        released=st.lists(made(parts.Released, item_id=ids, quantity=counts), max_size=3),
    ),
    topics.ORDER_REFUND_REQUESTED: made(
        events.OrderRefundRequested,
        **refund,
        lines=st.lists(refunded, max_size=3),
        restock=st.booleans(),
        failed=st.none() | st.booleans(),
    ),
    topics.REFUND_COMPLETED: made(events.RefundCompleted, **refund, reference=words),
    topics.REFUND_FAILED: made(events.RefundFailed, **refund, reason=words),
    topics.CHARGE_DISPUTED: made(
        events.ChargeDisputed, order_id=ids, dispute_id=words, amount=counts, currency=currencies
    ),
    topics.ORDER_REFUNDED: made(
        events.OrderRefunded, **about, refund_id=ids, amount=counts, refunded=st.lists(refunded, max_size=3)
    ),
    topics.ITEM_UPDATED: made(
        events.ItemUpdated,
        item_id=ids,
        name=words,
        unit_price=amounts,
        currency=currencies,
        available=st.booleans(),
        version=counts,
    ),
}
every_topic = pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)


def example(topic: Topic) -> dict[str, Any]:
    """An event as it is sent."""
    item = {"itemId": "Item1", "name": "A thing", "unitPrice": 250}
    order = {
        "orderId": "o-1",
        "customer": {"name": "Ada", "email": "ada@example.com", "phoneNumber": "762222222"},
        "lines": [{**item, "quantity": 2}],
        "total": 500,
        "currency": "USD",
    }
    refund = {"orderId": "o-1", "refundId": "r-1", "amount": 250, "currency": "USD"}
    refunded = {"itemId": "Item1", "name": "A thing", "quantity": 1}
    data: dict[Topic, dict[str, Any]] = {
        topics.ORDER_CREATED: {
            **order,
            "payment": {"token": "t-1", "brand": "visa", "last4": "4242", "expiry": "12/30"},
            "placedAt": "2026-01-01T00:00:00Z",
        },
        topics.PAYMENT_COMPLETED: {**order, "paymentId": "p-1"},
        topics.PAYMENT_FAILED: {**order, "reason": "card-declined"},
        topics.INVENTORY_UPDATED: order,
        topics.INVENTORY_REJECTED: {**order, "shortages": [{"itemId": "Item1", "requested": 2, "available": 1}]},
        topics.PAYMENT_REFUNDED: {"orderId": "o-1", "refundId": "r-1", "amount": 500, "currency": "USD"},
        topics.ORDER_CANCELLED: {**order, "reason": "customer"},
        topics.INVENTORY_RELEASED: {"orderId": "o-1", "released": [{"itemId": "Item1", "quantity": 2}]},
        topics.ORDER_REFUND_REQUESTED: {**refund, "lines": [refunded], "restock": True},
        topics.REFUND_COMPLETED: {**refund, "reference": "re-1"},
        topics.REFUND_FAILED: {**refund, "reason": "gateway-refused"},
        topics.CHARGE_DISPUTED: {"orderId": "o-1", "disputeId": "dp-1", "amount": 250, "currency": "USD"},
        topics.ORDER_REFUNDED: {**order, "refundId": "r-1", "amount": 250, "refunded": [refunded]},
        topics.ITEM_UPDATED: {**item, "currency": "USD", "available": True, "version": 1},
    }
    return {
        "specversion": "1.0",
        "id": "e-1",
        "source": f"/oms/{topic.emitted_by}",
        "type": topic.name,
        "subject": data[topic].get("orderId", "Item1"),
        "time": "2026-01-01T00:00:00Z",
        "data": data[topic],
    }


def decode(topic: Topic, value: dict[str, Any]) -> Event[Any]:
    return topic.decode(json.dumps(value))


@every_topic
@settings(max_examples=30)
@given(drawn=st.data())
def test_every_event_survives_a_round_trip_and_matches_its_schema(topic: Topic, drawn: st.DataObject) -> None:
    data: Any = drawn.draw(STRATEGIES[topic])
    event = topic.event(data, subject=data.about, traceparent=drawn.draw(st.none() | words))
    wire = event.encode()
    assert topic.decode(wire.encode()) == event
    VALIDATORS[topic.name].validate(json.loads(wire))


@every_topic
def test_the_example_matches_the_schema_and_names_are_camel_case(topic: Topic) -> None:
    VALIDATORS[topic.name].validate(example(topic))
    event = decode(topic, example(topic))
    assert json.loads(event.encode())["data"] == example(topic)["data"]


@every_topic
def test_unknown_fields_are_ignored_everywhere(topic: Topic) -> None:
    value = example(topic)
    plain = decode(topic, value)
    value["newHere"] = value["data"]["newThere"] = {"any": ["thing"]}
    if "customer" in value["data"]:
        value["data"]["customer"]["nickname"] = "Countess"
    assert decode(topic, value) == plain
    VALIDATORS[topic.name].validate(value)


@every_topic
def test_optional_fields_may_be_missing(topic: Topic) -> None:
    event = decode(topic, example(topic))
    assert (event.dataschema, event.traceparent) == (None, None)
    if isinstance(event.data, events.OrderEvent):
        assert event.data.customer.phone_e164 is None


@every_topic
def test_a_required_field_that_is_missing_is_refused(topic: Topic) -> None:
    for name in example(topic)["data"]:
        value = example(topic)
        del value["data"][name]
        with pytest.raises(ValidationError):
            decode(topic, value)
        assert not VALIDATORS[topic.name].is_valid(value)


@every_topic
def test_a_wrong_type_is_refused_in_every_field(topic: Topic) -> None:
    for name, right in example(topic)["data"].items():
        for wrong in (None, [["x"]], str(right) if not isinstance(right, str) else 7):
            value = example(topic)
            value["data"][name] = wrong
            with pytest.raises(ValidationError):
                decode(topic, value)
            assert not VALIDATORS[topic.name].is_valid(value)


@pytest.mark.parametrize(("written", "meant"), [("2.0", 2), ("2e0", 2), ("20E-1", 2)])
def test_a_quantity_without_a_fraction_is_whole_however_it_is_written(written: str, meant: int) -> None:
    wire = json.dumps(example(topics.ORDER_CREATED)).replace('"quantity": 2', f'"quantity": {written}')
    VALIDATORS["orderCreatedEvent"].validate(json.loads(wire))
    assert topics.ORDER_CREATED.decode(wire).data.lines[0].quantity == meant


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
@pytest.mark.parametrize("place", ["time", "placedAt"])
def test_a_time_that_some_zone_does_not_have_is_refused(time: str, place: str) -> None:
    value = example(topics.ORDER_CREATED)
    (value if place == "time" else value["data"])[place] = time
    with pytest.raises(ValidationError):
        decode(topics.ORDER_CREATED, value)


@pytest.mark.parametrize("wrong", [2.5, "2", True, 0, -1])
def test_a_quantity_is_a_whole_number_of_at_least_one(wrong: object) -> None:
    value = example(topics.ORDER_CREATED)
    value["data"]["lines"][0]["quantity"] = wrong
    with pytest.raises(ValidationError):
        decode(topics.ORDER_CREATED, value)
    assert not VALIDATORS["orderCreatedEvent"].is_valid(value)


@every_topic
def test_an_event_of_another_topic_is_refused_though_its_data_would_do(topic: Topic) -> None:
    with pytest.raises(ValueError, match="type"):
        decode(topic, {**example(topic), "type": "otherEvent"})


@every_topic
def test_an_event_of_another_publisher_is_refused_though_its_data_would_do(topic: Topic) -> None:
    with pytest.raises(ValueError, match="publisher"):
        decode(topic, {**example(topic), "source": "/oms/another"})


@every_topic
def test_an_event_whose_subject_is_not_what_its_data_is_about_is_refused(topic: Topic) -> None:
    with pytest.raises(ValueError, match="subject"):
        decode(topic, {**example(topic), "subject": "o-2"})


@pytest.mark.parametrize("value", [b"", b"{", b"null", b"[]", b'"text"', b"\xff\xfe"])
def test_a_record_that_is_not_an_event_is_refused(value: bytes) -> None:
    with pytest.raises(ValidationError):
        topics.ORDER_CREATED.decode(value)


@every_topic
def test_an_error_names_what_is_wrong_with_an_event_without_its_contents(topic: Topic) -> None:
    secret = "what a customer said"
    data = {name: [secret] for name in example(topic)["data"]}
    with pytest.raises(ValidationError) as refusal:
        decode(topic, {**example(topic), "time": secret, "data": data})
    assert secret not in str(refusal.value)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValidationError):
        decode(topics.ITEM_UPDATED, {**example(topics.ITEM_UPDATED), "time": "2026-01-01T00:00:00"})


def test_an_event_says_where_it_comes_from_and_no_two_have_the_same_id() -> None:
    data = decode(topics.PAYMENT_REFUNDED, example(topics.PAYMENT_REFUNDED)).data
    one, other = (topics.PAYMENT_REFUNDED.event(data, "o-1") for _ in range(2))
    assert one.id != other.id
    assert (one.source, one.type, one.subject) == ("/oms/payment", "paymentRefundedEvent", "o-1")
    assert one.dataschema == "/schemas/paymentRefundedEvent.json"


def test_an_event_that_must_not_be_emitted_twice_gets_the_id_that_it_is_given() -> None:
    data = decode(topics.PAYMENT_REFUNDED, example(topics.PAYMENT_REFUNDED)).data
    assert topics.PAYMENT_REFUNDED.event(data, "o-1", id="o-1:refund").id == "o-1:refund"


def _closed_sets(node: object, path: str = "") -> list[str]:
    """Where a schema takes none but some values."""
    if isinstance(node, list):
        return [found for number, one in enumerate(node) for found in _closed_sets(one, f"{path}/{number}")]
    if not isinstance(node, dict):
        return []
    found = [path] if {"enum", "const"} & node.keys() else []
    return found + [one for name, value in node.items() for one in _closed_sets(value, f"{path}/{name}")]


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_no_event_has_a_closed_set_of_values_to_which_a_later_release_could_not_add(topic: Topic) -> None:
    schema = json.loads((SCHEMAS / f"{topic.name}.json").read_text())
    envelope = ["/properties/datacontenttype", "/properties/specversion", "/properties/type"]
    assert sorted(_closed_sets(schema)) == envelope
