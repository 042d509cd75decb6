"""Each rule can fail: a world in order is broken in one place, by SQL, and the rule that is for that place says so."""

from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString

import pytest
from kafka import KafkaProducer
from support.world import (
    ANSWERS,
    CONFIRMED,
    DECLINED,
    ITEM,
    ORDERS,
    SOLD_OUT,
    STRANGER,
    World,
    databases,
)  # fmt: skip

from invariants import RULES, Answer, check
from invariants.__main__ import main
from oms_chassis.messaging import kafka as broker
from oms_chassis.settings import Settings
from oms_platform import services
from oms_platform.addresses import Addresses
from oms_servers.postgres import PostgresServer

Break = tuple[str, LiteralString]

BREAKS: dict[str, list[Break]] = {
    "accepted-orders-are-kept": [("order", f"DELETE FROM orders WHERE id = '{DECLINED}'")],
    "orders-are-terminal": [("order", f"UPDATE orders SET status = 'PAID' WHERE id = '{CONFIRMED}'")],
    "one-order-per-key": [
        ("order", f"UPDATE idempotency SET order_id = '{STRANGER}'"),
        ("order", "UPDATE orders SET email = 'confirmed@customers.example'"),
    ],
    "one-charge-per-order": [
        (
            "payment",
            f"INSERT INTO gateway_simulator.charge VALUES ('{CONFIRMED}:again', 'ch-9', true, 200, 'USD', NULL)",
        ),
        (
            "payment",
            f"INSERT INTO gateway_simulator.charge VALUES ('{STRANGER}:charge', 'ch-9', true, 200, 'USD', NULL)",
        ),
    ],
    "confirmed-orders-are-paid": [
        ("payment", f"DELETE FROM gateway_simulator.charge WHERE key = '{CONFIRMED}:charge'"),
        ("payment", f"UPDATE gateway_simulator.charge SET amount = 199 WHERE key = '{CONFIRMED}:charge'"),
        ("payment", f"UPDATE gateway_simulator.charge SET approved = false WHERE key = '{CONFIRMED}:charge'"),
        ("payment", f"INSERT INTO gateway_simulator.refund VALUES ('{CONFIRMED}:refund', 're-9', 'ch-1', 200)"),
    ],
    "confirmed-orders-have-their-stock": [
        ("inventory", "DELETE FROM reservation"),
        ("inventory", "UPDATE reservation SET quantity = 3"),
        ("inventory", "UPDATE reservation SET item_id = 'Item2'"),
    ],
    "cancelled-orders-cost-nothing": [
        ("payment", "DELETE FROM gateway_simulator.refund"),
        ("payment", "UPDATE gateway_simulator.refund SET amount = 100"),
        ("payment", f"UPDATE gateway_simulator.charge SET approved = true WHERE key = '{DECLINED}:charge'"),
        ("order", f"UPDATE orders SET reason = 'because' WHERE id = '{DECLINED}'"),
    ],
    "cancelled-orders-hold-no-stock": [
        ("inventory", f"INSERT INTO reservation (order_id, item_id, quantity) VALUES ('{SOLD_OUT}', '{ITEM}', 2)"),
        ("inventory", f"INSERT INTO reservation (order_id, item_id, quantity) VALUES ('{STRANGER}', '{ITEM}', 2)"),
    ],
    "stock-adds-up": [
        ("inventory", f"UPDATE item SET on_hand = on_hand - 2, sold = sold + 2 WHERE id = '{ITEM}'"),
        ("inventory", f"UPDATE item SET restocked = 0, sold = sold - 1 WHERE id = '{ITEM}'"),
        ("order", f"UPDATE order_line SET quantity = 3 WHERE order_id = '{CONFIRMED}'"),
    ],
    "outboxes-are-empty": [("email", "INSERT INTO outbox (topic) VALUES ('orderCreatedEvent')")],
    "jobs-are-done": [("sms", "INSERT INTO job (queue, id, subject, payload) VALUES ('sms', '1', '1', '{}')")],
    "transitions-are-legal": [
        ("order", f"DELETE FROM timeline WHERE order_id = '{CONFIRMED}' AND position = 2"),
        ("order", f"DELETE FROM timeline WHERE order_id = '{CONFIRMED}' AND position = 3"),
        ("order", f"DELETE FROM timeline WHERE order_id = '{CONFIRMED}' AND position = 1"),
        ("order", f"DELETE FROM timeline WHERE order_id = '{CONFIRMED}'"),
        ("order", f"INSERT INTO timeline VALUES ('{CONFIRMED}', 4, 'CANCELLING', NULL, now())"),
        ("order", f"UPDATE timeline SET status = 'PAID' WHERE order_id = '{DECLINED}' AND position = 2"),
    ],
}
BREAKS_BY_NAME = [
    pytest.param(rule, *broken, id=f"{rule}-{number}")
    for rule, breaks in BREAKS.items()
    for number, broken in enumerate(breaks, start=1)
]


@pytest.fixture(scope="module")
def urls(postgres: PostgresServer) -> Iterator[dict[str, str]]:
    made = databases(postgres)
    yield made
    for url in made.values():
        postgres.drop_database(url.rpartition("/")[2])


@pytest.fixture(scope="module")
def notified(servers_folder: Path, urls: dict[str, str]) -> Iterator[World]:
    """The world with every customer notified once."""
    yield from _world(servers_folder / "mailcatcher-notified", urls)


def _world(folder: Path, urls: dict[str, str]) -> Iterator[World]:
    at = Addresses.free()
    with services.mailcatcher(at, folder, folder.with_suffix(".log")):
        world = World(urls, f"http://127.0.0.1:{at.mailcatcher}", at.smtp)
        for order_id in ORDERS:
            for kind in ("email", "sms"):
                world.notify(order_id, kind)
        yield world


@pytest.fixture
def world(notified: World) -> World:
    """Everything in order."""
    notified.restore()
    return notified


@pytest.fixture
def fresh_mailcatcher(servers_folder: Path, urls: dict[str, str]) -> Iterator[World]:
    """The same world with a mail catcher of its own, for what cannot be unsaid."""
    for world in _world(servers_folder / "mailcatcher-fresh", urls):
        world.restore()
        yield world


def broken_rules(world: World, answers: list[Answer] = ANSWERS) -> set[str]:
    return {violation.rule for violation in check(world.sources(), answers)}


def test_a_world_in_order_breaks_no_rule(world: World) -> None:
    assert check(world.sources(), ANSWERS) == []


@pytest.mark.parametrize(("rule", "service", "sql"), BREAKS_BY_NAME)
def test_a_rule_can_fail(world: World, rule: str, service: str, sql: LiteralString) -> None:
    world.run(service, sql)
    assert rule in broken_rules(world)


def test_a_key_that_was_answered_with_two_orders_is_seen(world: World) -> None:
    assert broken_rules(world, [*ANSWERS, Answer("the-key", DECLINED)]) == {"one-order-per-key"}


def test_an_order_that_was_placed_twice_under_one_key_is_seen(world: World) -> None:
    world.run("order", f"UPDATE orders SET email = 'declined@customers.example' WHERE id = '{SOLD_OUT}'")
    assert broken_rules(world) == {"one-order-per-key"}


@pytest.mark.parametrize("kind", ["email", "sms"])
@pytest.mark.parametrize("order_id", [CONFIRMED, STRANGER])
def test_a_message_too_many_is_seen(fresh_mailcatcher: World, order_id: str, kind: str) -> None:
    fresh_mailcatcher.notify(order_id, kind)
    assert broken_rules(fresh_mailcatcher) == {"customers-are-notified-once"}


def test_a_customer_who_was_not_notified_is_seen(world: World) -> None:
    world.run("order", f"UPDATE orders SET id = '{STRANGER}' WHERE id = '{DECLINED}'")
    found = [one for one in check(world.sources()) if one.subject == STRANGER]
    assert "customers-are-notified-once" in {one.rule for one in found}


def test_a_dead_letter_is_seen_unless_it_was_expected(world: World, kafka: str) -> None:
    broker.create_topics(Settings(database_url="postgresql://unused", kafka_bootstrap=kafka))
    sources = world.sources(kafka)
    before = {one.subject: int(one.detail.split()[1]) for one in check(sources)}  # other tests share this broker
    producer = KafkaProducer(bootstrap_servers=kafka)
    producer.send("payment.deadletter", b"poison").get(10)
    producer.close()
    assert "dead-letters-are-the-expected-ones" in {one.rule for one in check(sources, dead_letters=before)}
    assert check(sources, dead_letters={**before, "payment": before.get("payment", 0) + 1}) == []


def test_the_command_prints_what_is_wrong(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [part for name, url in world.databases.items() for part in ("--database", f"{name}={url}")]
    assert main([*arguments, "--mailcatcher", world.mailcatcher]) == 0
    world.run("inventory", "DELETE FROM reservation")
    assert main([*arguments, "--within", "0"]) == 1
    assert capsys.readouterr().out.startswith(f"confirmed-orders-have-their-stock: {CONFIRMED}: ")


def test_the_command_wants_all_databases(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--database", "order=postgresql://somewhere"])
    assert "--database is needed for each of order, payment" in capsys.readouterr().err


def test_every_rule_is_shown_to_fail() -> None:
    shown_elsewhere = {"customers-are-notified-once", "dead-letters-are-the-expected-ones"}
    assert BREAKS.keys() | shown_elsewhere == RULES.keys()
