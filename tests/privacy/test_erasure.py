"""An erased customer is found in no database, log or audit log; topics delete the data by their retention.

Canaries (a name, an address, a number that occur nowhere else) take every path that a customer's data can take: orders
that are confirmed, declined, cancelled with a note and a key, a refund with a reason and a key, a message that was
given up on, and records that are not events.
"""

import base64
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from invariants import Sources, check_when_quiet
from kafka.admin import ConfigResource, ConfigResourceType
from support import traces
from support.broker import administering
from support.chassis import eventually
from support.operators import Operator, own_platform, run_sql
from support.orders import DECLINED, body, ended, place

from oms_chassis.messaging.kafka import KafkaSink
from oms_chassis.messaging.kafka.admin import RETENTION
from oms_chassis.messaging.streams import Outgoing
from oms_chassis.settings import Settings
from oms_contracts import topics
from oms_contracts.topics import INVENTORY_UPDATED, SERVICES
from oms_platform.platform import Platform

pytestmark = pytest.mark.system

POISONS = 3  # records that are not events


def _letters() -> str:
    return "".join(secrets.choice("bcdfghjklmnpqrstvwxz") for _ in range(14))


@dataclass
class Customer:
    """A customer whose data occurs nowhere else."""

    name: str = field(default_factory=lambda: _letters().capitalize())
    email: str = field(default_factory=lambda: f"{_letters()}@customers.example")
    number: str = field(default_factory=lambda: f"77{secrets.randbelow(9_000_000) + 1_000_000}")
    orders: dict[str, str] = field(default_factory=dict)

    @property
    def private(self) -> list[bytes]:
        """Return the texts that must not be found anywhere, in upper or lower case."""
        texts = [self.name, self.email, self.email.upper(), self.number]
        hexadecimal = [text.encode().hex().encode() for text in texts]  # as bytes appear in a dump
        headers = [base64.b64encode(text.encode()).lower() for text in texts]
        return [*(text.lower().encode() for text in texts), *hexadecimal, *headers]

    def body(self, **more: Any) -> dict[str, Any]:
        """Return the body of an order by this customer."""
        made = body(**more)
        made["customer"] = {"name": self.name, "email": self.email, "phoneNumber": self.number}
        return made

    def found_in(self, places: Iterator[traces.Trace]) -> list[str]:
        """Return the places with any trace of the customer."""
        return [where for where, content in places if any(trace in content.lower() for trace in self.private)]


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with own_platform() as made:
        yield made


@pytest.fixture(scope="module")
def operator(platform: Platform) -> Operator:
    return Operator(platform)


@pytest.fixture
def orders(platform: Platform) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=platform.url, timeout=20.0) as client:
        yield client


@pytest.fixture
def customer(platform: Platform, operator: Operator, orders: httpx2.Client) -> Customer:
    """Return a customer who has been through all of this."""
    customer = Customer()
    customer.orders["confirmed"] = place(orders, customer.body(), {"Idempotency-Key": secrets.token_hex(8)})
    customer.orders["declined"] = place(orders, customer.body(card=DECLINED))
    customer.orders["cancelled"] = place(orders, customer.body())
    note = {"reason": f"sent to {customer.name} twice"}
    key = {"Idempotency-Key": secrets.token_hex(8)}
    assert orders.post(f"/order/{customer.orders['cancelled']}/cancel", json=note, headers=key).status_code == 202
    for order in customer.orders.values():
        ended(orders, order)
    _refund(orders, customer)
    assert eventually(lambda: is_quiet(platform, customer), 90)
    _give_up_mail_about_refund(operator, orders, customer)
    _send_poison(platform, customer)
    return customer


def _refund(orders: httpx2.Client, customer: Customer) -> None:
    """Refund a part of the confirmed order, with a reason that names the customer."""
    order, asked = customer.orders["confirmed"], {"amount": 1, "reason": f"{customer.name} has called"}
    key = {"Idempotency-Key": secrets.token_hex(8)}
    assert orders.post(f"/order/{order}/refund", json=asked, headers=key).status_code == 202
    assert eventually(lambda: orders.get(f"/order/{order}").json()["refunded"] == 1, 60)


def _give_up_mail_about_refund(operator: Operator, orders: httpx2.Client, customer: Customer) -> None:
    """Let the email about another refund be refused, and then given up on: it is kept with the customer's address."""
    operator.oms("fail", "set", "mail", "4xx")
    asked = operator.json("order", "refund", customer.orders["confirmed"], "--amount", "2")
    failing = ("jobs", "list", "--service", "email", "--order", customer.orders["confirmed"], "--state", "failing")
    assert eventually(lambda: operator.json(*failing), 60)
    operator.oms("jobs", "cancel", "email", "email", asked["id"], "--yes")
    operator.oms("fail", "clear")
    (given_up,) = operator.json("messages", "list", "--channel", "email")
    assert (given_up["refundId"], given_up["kind"]) == (asked["id"], "refunded")
    text = ("jobs", "list", "--service", "sms", "--order", customer.orders["confirmed"])
    assert eventually(lambda: not operator.json(*text), 60)


def is_quiet(platform: Platform, customer: Customer) -> bool:
    """Whether everything has been sent, and both notifiers have read how each order ended."""
    waiting = "SELECT 1 FROM outbox UNION ALL SELECT 1 FROM job"
    notified = "SELECT coalesce(refund_of, order_id), kind FROM message WHERE state <> 'pending'"
    expected = {(order, kind) for kind, order in customer.orders.items()} | {(customer.orders["confirmed"], "refunded")}
    return not any(run_sql(platform, name, waiting) for name in SERVICES) and all(
        expected <= {*run_sql(platform, name, notified)} for name in ("sms", "email")
    )


def _send_poison(platform: Platform, customer: Customer) -> None:
    """Send records that are not events, with the customer's address in the value, the key or a header. They become dead
    letters of each reader."""
    sink = KafkaSink(Settings(database_url="postgresql://unused", kafka_bootstrap=platform.kafka.bootstrap))
    value = json.dumps({"oops": customer.email.upper(), "phone": customer.number, "contact": customer.email}).encode()
    address, topic = customer.email.encode(), INVENTORY_UPDATED.name
    sink.send([Outgoing(topic, b"of nobody", value, [("who", customer.name.encode())])])
    sink.send([Outgoing(topic, address, None), Outgoing(topic, b"of nobody", None, [("for", address)])])
    sink.close()
    letters = "SELECT 1 FROM dead_letter WHERE state = 'dead'"
    readers = INVENTORY_UPDATED.read_by
    assert eventually(lambda: all(len(run_sql(platform, name, letters)) == POISONS for name in readers), 60)
    assert eventually(lambda: not any(run_sql(platform, name, "SELECT 1 FROM outbox") for name in SERVICES))


@pytest.mark.timeout(600)
def test_an_erased_customer_is_found_nowhere_and_the_books_add_up(
    platform: Platform, operator: Operator, customer: Customer
) -> None:
    held = customer.found_in(traces.dumps(platform))
    assert {"order", "sms", "email"} <= set(held)  # the search finds existing data
    exported = json.loads(operator.oms("customers", "export", customer.email))
    assert {one["id"] for one in exported["orders"]} == set(customer.orders.values())
    assert exported["orders"][0]["customer"]["email"] == customer.email
    assert len(exported["payments"]) == len(customer.orders)
    (order,) = (one for one in exported["orders"] if one["id"] == customer.orders["confirmed"])
    about = [*customer.orders.values(), *(one["id"] for one in order["refunds"])]
    for channel in ("email", "sms"):
        assert sorted(one.get("refundId") or one["orderId"] for one in exported[channel]) == sorted(about)

    assert operator.run("customers", "erase", customer.email, "--dry-run").returncode == 0
    assert customer.found_in(traces.dumps(platform)) == held
    erased = operator.json("customers", "erase", customer.email.upper(), "--yes", "--reason", "request 17")
    assert erased["order"]["rows"] == len(customer.orders)
    assert {erased[name]["deadLetters"] for name in INVENTORY_UPDATED.read_by} == {POISONS}
    assert customer.found_in(traces.dumps(platform)) == []
    assert customer.found_in(traces.logs(platform)) == []
    assert customer.found_in(traces.metrics(platform)) == []

    again = operator.json("customers", "erase", customer.email, "--yes")
    assert not any(count for counts in again.values() for count in counts.values())
    sources = Sources({name: platform.databases[name].url for name in SERVICES}, None, None)
    assert check_when_quiet(sources, within=60) == []
    entries = operator.json("audit", "list", "--service", "order", "--action", "customers.erase")
    (entry,) = (one for one in entries if set(one["before"]["orders"]) == set(customer.orders.values()))
    assert (entry["operator"], entry["reason"]) == ("ann", "request 17")


def test_a_customer_with_an_order_under_way_is_not_erased(
    platform: Platform, operator: Operator, orders: httpx2.Client
) -> None:
    customer = Customer()
    first = place(orders, customer.body())
    ended(orders, first)
    platform.services["payment"].stop()
    waiting = place(orders, customer.body())
    refused = operator.run("customers", "erase", customer.email, "--yes")
    assert refused.returncode == 1
    assert f"Orders are under way: {waiting}" in refused.stderr
    assert "order" in customer.found_in(traces.dumps(platform))
    platform.services["payment"].start()
    platform.services["payment"].await_ready()
    ended(orders, waiting, 120)
    assert eventually(lambda: operator.run("customers", "erase", customer.email, "--yes").returncode == 0, 60)
    assert customer.found_in(traces.dumps(platform)) == []


def test_a_customer_of_thousands_of_orders_is_erased(platform: Platform, operator: Operator) -> None:
    """Each has a number of its own: more than fit into one request. To the checker, nobody placed these orders."""
    customer, many = Customer(), 2500
    orders = f"""
        INSERT INTO orders (id, status, facts, version, name, email, phone, card_token, card_brand, card_last4,
            card_expiry, total, currency, placed_at, updated_at)
        SELECT gen_random_uuid(), 'CONFIRMED', '{{}}', 3, '{customer.name}', '{customer.email}', number::text,
            't', 'visa', '4242', '02/40', 200, 'USD', now() - interval '30 days', now() - interval '30 days'
        FROM generate_series(760000000, 760000000 + {many} - 1) AS number
        RETURNING id::text
    """
    made = [order for (order,) in run_sql(platform, "order", orders)]
    try:
        erased = operator.json("customers", "erase", customer.email, "--yes")
        assert erased["order"]["rows"] == many
        assert customer.found_in(traces.dumps(platform)) == []
    finally:
        gone = run_sql(platform, "order", f"DELETE FROM orders WHERE id = ANY('{{{','.join(made)}}}') RETURNING 1")
    assert len(gone) == many


def test_a_customer_with_a_message_about_a_refund_on_its_way_is_not_erased(
    platform: Platform, operator: Operator, orders: httpx2.Client
) -> None:
    """A service that reads of the refund later would store the customer's address again."""
    customer = Customer()
    order = place(orders, customer.body())
    ended(orders, order)
    notified = f"SELECT 1 FROM message WHERE order_id = '{order}' AND state = 'sent'"
    assert eventually(lambda: all(run_sql(platform, name, notified) for name in ("email", "sms")), 60)
    run_sql(platform, "email", "ALTER TABLE inbox RENAME TO inbox_away")
    try:
        asked = orders.post(f"/order/{order}/refund", json={"amount": 1}).json()
        assert eventually(lambda: orders.get(f"/order/{order}").json()["refunded"] == 1, 60)
        assert eventually(lambda: not run_sql(platform, "order", "SELECT 1 FROM outbox"))
        refused = operator.run("customers", "erase", customer.email, "--yes")
        assert (refused.returncode, f"email has not read yet what became of {asked['id']}" in refused.stderr) == (
            1,
            True,
        )
    finally:
        run_sql(platform, "email", "ALTER TABLE inbox_away RENAME TO inbox")
    assert eventually(lambda: operator.run("customers", "erase", customer.email, "--yes").returncode == 0, 90)
    assert customer.found_in(traces.dumps(platform)) == []


def test_topics_delete_records_within_eight_days(platform: Platform) -> None:
    with administering(platform.kafka.bootstrap) as admin:
        asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in topics.names()]
        found = admin.describe_configs(asked)["topic"]
    assert found.keys() == set(topics.names())
    for name, config in found.items():
        assert {key: config[key]["value"] for key in RETENTION} == RETENTION, name
    assert int(RETENTION["retention.ms"]) + int(RETENTION["segment.ms"]) == 8 * 24 * 3600 * 1000
