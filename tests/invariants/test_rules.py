"""Each rule can fail: a consistent world is broken in one place by SQL, and the rule for that place reports it."""

from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString
from uuid import uuid4

import pytest
from kafka import KafkaProducer
from support import wording
from support.world import (
    ANSWERS,
    CALLED_OFF,
    CONFIRMED,
    DECLINED,
    ITEM,
    PARTLY,
    PROMISED,
    REFUND,
    SOLD_OUT,
    STRANGER,
    WRITTEN_TO,
    World,
    databases,
)  # fmt: skip

from invariants import RULES, Answer, Expected, Unanswered, check
from invariants.__main__ import main
from invariants.records import count_repeats
from invariants.rules import KINDS
from oms_chassis.messaging import kafka as broker
from oms_chassis.settings import Settings
from oms_platform import services
from oms_platform.addresses import Addresses
from oms_servers.postgres import PostgresServer

Break = tuple[str, LiteralString]
LETTER: LiteralString = """
INSERT INTO dead_letter (id, topic, partition, record_offset, headers, error, state)
OVERRIDING SYSTEM VALUE VALUES (1, 'orderCreatedEvent', 0, 0, '[]', 'CheckViolation', 'redriven')
"""
EARLIER: LiteralString = """
INSERT INTO dead_letter (id, topic, partition, record_offset, headers, error)
OVERRIDING SYSTEM VALUE VALUES (0, 'orderCreatedEvent', 0, 0, '[]', 'CheckViolation')
"""
MANY: LiteralString = """
INSERT INTO dead_letter (topic, partition, record_offset, headers, error)
SELECT 'orderCreatedEvent', 0, n, '[]', 'CheckViolation' FROM generate_series(1, 999) AS n
"""
ASKED: LiteralString = f"""
INSERT INTO refund (id, order_id, amount, lines, restock, status)
VALUES ('{STRANGER}', '{CONFIRMED}', 1, '[]', false, 'FAILED')
"""
NOTE: LiteralString = "INSERT INTO audit_log (operator, action, subject) VALUES ('ann', 'deadletters.redrive', '1')"
GIVEN_UP: LiteralString = """
INSERT INTO audit_log (operator, action, subject) VALUES ('ann', 'deadletters.drop', '0');
UPDATE dead_letter SET state = 'dropped' WHERE id = 0
"""

BREAKS: dict[str, list[Break]] = {
    "accepted-orders-are-kept": [
        ("order", f"DELETE FROM orders WHERE id = '{DECLINED}'"),
        ("order", f"UPDATE orders SET email = 'another@customers.example' WHERE id = '{DECLINED}'"),
    ],
    "orders-cost-what-their-lines-do": [
        ("order", f"UPDATE orders SET total = 201 WHERE id = '{DECLINED}'"),
        ("order", f"UPDATE order_line SET unit_price = 99 WHERE order_id = '{DECLINED}'"),
        ("order", f"DELETE FROM order_line WHERE order_id = '{DECLINED}'"),
    ],
    "orders-are-terminal": [("order", f"UPDATE orders SET status = 'PAID' WHERE id = '{CONFIRMED}'")],
    "one-order-per-key": [
        ("order", f"UPDATE idempotency SET order_id = '{STRANGER}'"),
        ("order", "UPDATE orders SET email = 'confirmed@customers.example'"),
    ],
    "orders-were-promised": [
        ("order", f"UPDATE orders SET id = '{STRANGER}' WHERE id = '{SOLD_OUT}'"),
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
        ("order", "UPDATE refund SET status = 'FAILED'"),
        ("order", "UPDATE refund SET amount = 99"),
        ("payment", "DELETE FROM gateway_simulator.refund WHERE id = 're-5'"),
        ("payment", f"UPDATE gateway_simulator.refund SET key = '{PARTLY}:refund' WHERE id = 're-5'"),
    ],
    "refunds-stay-within-charges": [
        ("payment", f"INSERT INTO gateway_simulator.refund VALUES ('{PARTLY}:refund:more', 're-9', 'ch-5', 101)"),
        ("payment", f"INSERT INTO gateway_simulator.refund VALUES ('{DECLINED}:refund', 're-9', 'ch-2', 1)"),
    ],
    "refunds-are-settled-once": [
        ("order", "UPDATE refund SET status = 'PENDING'"),
        ("order", "UPDATE refund SET status = 'FAILED'"),
        ("order", "DELETE FROM refund"),
        ("order", f"UPDATE refund SET order_id = '{CONFIRMED}'"),
        ("payment", "DELETE FROM gateway_simulator.refund WHERE id = 're-5'"),
        ("payment", "UPDATE gateway_simulator.refund SET amount = 99 WHERE id = 're-5'"),
        ("payment", f"INSERT INTO gateway_simulator.refund VALUES ('{PARTLY}:refund:{REFUND}:2', 're-9', 'ch-5', 100)"),
        ("payment", f"INSERT INTO gateway_simulator.refund VALUES ('{PARTLY}:refund:another', 're-9', 'ch-5', 1)"),
        ("payment", "DELETE FROM requested_refund"),
        ("payment", "UPDATE requested_refund SET state = 'FAILED', reference = NULL"),
        ("payment", "UPDATE requested_refund SET reference = 're-9'"),
        ("payment", "UPDATE requested_refund SET amount = 99"),
    ],
    "refunds-were-promised": [
        ("order", "DELETE FROM refund"),
        ("order", "UPDATE refund SET amount = 99"),
        ("order", f"UPDATE refund SET order_id = '{CONFIRMED}'"),
        ("order", ASKED),
    ],
    "returns-were-asked-for": [
        ("order", "UPDATE refund SET restock = false"),
        ("order", "UPDATE refund SET lines = '[]'"),
        ("inventory", "DELETE FROM stock_return"),
        ("inventory", "UPDATE stock_return SET quantity = 2"),
        ("inventory", f"INSERT INTO stock_return VALUES ('another', '{ITEM}', '{CONFIRMED}', 1)"),
        ("inventory", f"UPDATE reservation SET released = 2 WHERE order_id = '{PARTLY}'"),
    ],
    "payments-agree": [
        ("payment", f"DELETE FROM payment WHERE order_id = '{CONFIRMED}'"),
        ("payment", f"DELETE FROM payment WHERE order_id = '{DECLINED}'"),
        ("payment", f"UPDATE payment SET state = 'REFUNDING' WHERE order_id = '{CONFIRMED}'"),
        ("payment", f"UPDATE payment SET state = 'FAILED' WHERE order_id = '{SOLD_OUT}'"),
        ("payment", f"UPDATE payment SET amount = 199 WHERE order_id = '{DECLINED}'"),
        ("payment", f"UPDATE payment SET charge_id = 'ch-9' WHERE order_id = '{CONFIRMED}'"),
        ("payment", f"UPDATE payment SET charge_id = 'ch-3' WHERE order_id = '{CONFIRMED}'"),
        ("payment", f"UPDATE payment SET state = 'COMPLETED' WHERE order_id = '{CALLED_OFF}'"),
        ("payment", f"UPDATE payment SET refund_id = 're-9' WHERE order_id = '{SOLD_OUT}'"),
        ("payment", f"INSERT INTO payment (order_id, state, amount, currency) VALUES ('{STRANGER}', 'FAILED', 1, 'X')"),
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
        ("payment", f"DELETE FROM gateway_simulator.refund WHERE key = '{CALLED_OFF}:refund'"),
        ("order", f"UPDATE orders SET reason = 'because' WHERE id = '{DECLINED}'"),
    ],
    "cancelled-orders-hold-no-stock": [
        ("inventory", f"UPDATE reservation SET released = 1 WHERE order_id = '{CALLED_OFF}'"),
        ("inventory", f"INSERT INTO reservation (order_id, item_id, quantity) VALUES ('{SOLD_OUT}', '{ITEM}', 2)"),
        ("inventory", f"INSERT INTO reservation (order_id, item_id, quantity) VALUES ('{STRANGER}', '{ITEM}', 2)"),
    ],
    "stock-adds-up": [
        ("inventory", f"UPDATE item SET on_hand = on_hand - 2, sold = sold + 2 WHERE id = '{ITEM}'"),
        ("inventory", f"UPDATE item SET restocked = 0, sold = sold - 1 WHERE id = '{ITEM}'"),
        ("inventory", f"UPDATE item SET sold = sold + 1, released = released + 1 WHERE id = '{ITEM}'"),
        ("order", f"UPDATE order_line SET quantity = 3 WHERE order_id = '{CONFIRMED}'"),
        ("inventory", f"UPDATE reservation SET released = 0 WHERE order_id = '{PARTLY}'"),
        ("inventory", "DELETE FROM stock_return"),
    ],
    "stock-is-what-its-movements-come-to": [
        ("inventory", "DELETE FROM movement WHERE kind = 'restocked'"),
        ("inventory", "DELETE FROM movement WHERE kind = 'released'"),
        ("inventory", "DELETE FROM movement WHERE kind = 'returned'"),
    ],
    "outboxes-are-empty": [("email", "INSERT INTO outbox (topic) VALUES ('orderCreatedEvent')")],
    "jobs-are-done": [("sms", "INSERT INTO job (queue, id, subject, payload) VALUES ('sms', '1', '1', '{}')")],
    "dead-letters-are-redriven-once": [("payment", LETTER), ("payment", f"{LETTER}; {NOTE}; {NOTE}")],
    "dead-letters-are-redriven-in-order": [
        ("payment", f"{LETTER}; {EARLIER}; {NOTE}"),
        ("payment", f"{LETTER}; {EARLIER}; {NOTE}; {GIVEN_UP}"),
    ],
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
    """Yield a world in which every customer was notified once."""
    yield from _world(servers_folder / "mailcatcher-notified", urls)


def _world(folder: Path, urls: dict[str, str]) -> Iterator[World]:
    at = Addresses.free()
    with services.mailcatcher(at, folder, folder.with_suffix(".log")):
        world = World(urls, f"http://127.0.0.1:{at.mailcatcher}", at.smtp)
        for order_id, said in WRITTEN_TO:
            for kind in KINDS:
                world.notify(order_id, kind, said)
        yield world


@pytest.fixture
def world(notified: World) -> World:
    """Return a world in which everything is consistent."""
    notified.restore()
    return notified


@pytest.fixture
def fresh_mailcatcher(servers_folder: Path, urls: dict[str, str]) -> Iterator[World]:
    """Yield the same world with a mail catcher of its own, for messages, which cannot be taken back."""
    for world in _world(servers_folder / f"mailcatcher-{uuid4().hex}", urls):
        world.restore()
        yield world


def broken_rules(world: World, answers: list[Answer] = ANSWERS) -> set[str]:
    found = check(world.sources(), answers, expected=Expected(unanswered=(), copies=0, refunds=PROMISED))
    return {violation.rule for violation in found}


def test_a_consistent_world_violates_no_rule(world: World) -> None:
    assert broken_rules(world) == set()


@pytest.mark.parametrize(("rule", "service", "sql"), BREAKS_BY_NAME)
def test_a_rule_can_fail(world: World, rule: str, service: str, sql: LiteralString) -> None:
    world.run(service, sql)
    assert rule in broken_rules(world)


def test_a_key_that_was_answered_with_two_orders_is_seen(world: World) -> None:
    assert broken_rules(world, [*ANSWERS, Answer("the-key", DECLINED)]) == {"one-order-per-key"}


def test_an_order_that_was_placed_twice_under_one_key_is_seen(world: World) -> None:
    world.run("order", f"UPDATE orders SET email = 'declined@customers.example' WHERE id = '{SOLD_OUT}'")
    assert "one-order-per-key" in broken_rules(world)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order_id", [CONFIRMED, STRANGER])
def test_an_extra_message_is_seen(fresh_mailcatcher: World, order_id: str, kind: str) -> None:
    fresh_mailcatcher.notify(order_id, kind, wording.CONFIRMED)
    assert broken_rules(fresh_mailcatcher) == {"customers-are-notified-once"}


@pytest.mark.parametrize(("times", "is_broken"), [(1, False), (2, True)])
def test_an_order_that_was_cancelled_after_it_had_its_stock_may_have_been_confirmed_once_before(
    fresh_mailcatcher: World, times: int, is_broken: bool
) -> None:
    for _ in range(times):
        fresh_mailcatcher.notify(CALLED_OFF, "sms", wording.CONFIRMED)
    assert broken_rules(fresh_mailcatcher) == ({"customers-are-notified-once"} if is_broken else set())


def test_an_order_that_was_called_off_may_have_ended_in_another_way_before(world: World) -> None:
    world.run("order", f"UPDATE orders SET reason = 'timed-out' WHERE id IN ('{DECLINED}', '{SOLD_OUT}')")
    assert broken_rules(world) == set()


@pytest.mark.parametrize(("status", "reason"), [("CANCELLED", "customer"), ("CANCELLED", "out-of-stock")])
def test_a_message_that_contradicts_how_the_order_ended_is_seen(
    world: World, status: LiteralString, reason: LiteralString
) -> None:
    world.run("order", f"UPDATE orders SET status = '{status}', reason = '{reason}' WHERE id = '{CONFIRMED}'")
    found = [one for one in check(world.sources()) if one.rule == "customers-are-notified-once"]
    assert [one.subject for one in found] == [CONFIRMED, CONFIRMED]  # by both channels


@pytest.mark.parametrize(
    ("sql", "kinds"),
    [
        (f"UPDATE orders SET email = 'another@customers.example' WHERE id = '{CONFIRMED}'", ["email"]),
        (f"UPDATE orders SET phone_e164 = '+94763333333' WHERE id = '{CONFIRMED}'", ["sms"]),
        (f"UPDATE orders SET email = '(erased)', phone_e164 = NULL WHERE id = '{CONFIRMED}'", []),
    ],
)
def test_a_message_to_the_wrong_person_is_seen(world: World, sql: LiteralString, kinds: list[str]) -> None:
    world.run("order", sql)
    found = [one.detail for one in check(world.sources()) if one.rule == "messages-reach-their-customers"]
    assert [kind for kind in KINDS for one in found if f" {kind} " in one] == kinds


def test_an_email_that_arrived_twice_is_seen_although_a_reader_sees_only_one(fresh_mailcatcher: World) -> None:
    fresh_mailcatcher.run("order", f"UPDATE orders SET id = '{STRANGER}' WHERE id = '{DECLINED}'")
    fresh_mailcatcher.notify(STRANGER, "email", wording.DECLINED, times=3)
    broken = {copies: _rules(fresh_mailcatcher, Expected(copies=copies)) for copies in (None, 1, 2)}
    assert {copies for copies, rules in broken.items() if "emails-are-not-repeated" in rules} == {1}
    assert not any("got 3 email" in one.detail for one in check(fresh_mailcatcher.sources()))


@pytest.mark.parametrize(
    ("unanswered", "is_broken"),
    [
        (None, False),
        ([], True),
        ([Unanswered("sold-out@customers.example", in_doubt=True)], False),
        ([Unanswered("sold-out@customers.example", in_doubt=False)], True),
        ([Unanswered("somebody-else@customers.example", in_doubt=True)], True),
    ],
)
def test_an_order_exists_only_for_a_client_that_was_not_refused(
    world: World, unanswered: list[Unanswered] | None, is_broken: bool
) -> None:
    rules = _rules(world, Expected([one for one in ANSWERS if one.order_id != SOLD_OUT], unanswered))
    assert rules == ({"orders-were-promised"} if is_broken else set())


def test_a_client_in_doubt_must_not_have_two_orders(world: World) -> None:
    world.run("order", f"UPDATE orders SET email = 'doubt@customers.example' WHERE id <> '{CONFIRMED}'")
    expected = Expected(ANSWERS[:1], [Unanswered("doubt@customers.example", in_doubt=True)])
    assert "orders-were-promised" in _rules(world, expected)


def _rules(world: World, expected: Expected) -> set[str]:
    return {violation.rule for violation in check(world.sources(), expected=expected)}


def test_a_customer_who_was_not_notified_is_seen(world: World) -> None:
    world.run("order", f"UPDATE orders SET id = '{STRANGER}' WHERE id = '{DECLINED}'")
    found = [one for one in check(world.sources()) if one.subject == STRANGER]
    assert "customers-are-notified-once" in {one.rule for one in found}


def test_a_refund_of_which_the_customer_was_not_notified_is_seen(world: World) -> None:
    world.run("order", f"UPDATE refund SET order_id = '{CONFIRMED}'")
    found = {one.subject for one in check(world.sources()) if one.rule == "customers-are-notified-once"}
    assert found == {CONFIRMED, PARTLY}


@pytest.mark.parametrize(("earlier", "is_broken"), [("SUCCEEDED", False), ("PENDING", True)])
def test_a_refund_that_fails_after_it_had_succeeded_was_announced_to_the_customer(
    world: World, earlier: str, is_broken: bool
) -> None:
    world.run("order", "UPDATE refund SET status = 'FAILED'")
    world.run("order", f"UPDATE timeline SET refund_status = '{earlier}' WHERE refund_status = 'SUCCEEDED'")
    found = {one.subject for one in check(world.sources()) if one.rule == "customers-are-notified-once"}
    assert found == ({PARTLY} if is_broken else set())


def send_letter(kafka: str) -> None:
    broker.reconcile_topics(Settings(database_url="postgresql://unused", kafka_bootstrap=kafka))
    producer = KafkaProducer(bootstrap_servers=kafka)
    producer.send("payment.deadletter", b"poison").get(10)
    producer.close()


def test_a_dead_letter_is_seen_unless_it_was_expected(world: World, kafka: str) -> None:
    send_letter(kafka)
    world.run("payment", EARLIER)
    sources = world.sources(kafka)
    assert {one.rule for one in check(sources)} == {"dead-letters-are-the-expected-ones"}
    assert check(sources, dead_letters={"payment": 1}) == []


def test_a_dead_letter_that_its_topic_has_twice_counts_once(world: World, kafka: str) -> None:
    """That happens if the relay died after sending it."""
    send_letter(kafka)
    send_letter(kafka)
    world.run("payment", EARLIER)
    assert check(world.sources(kafka), dead_letters={"payment": 1}) == []


def test_a_dead_letter_that_is_missing_in_its_topic_is_seen(world: World, kafka: str) -> None:
    broker.reconcile_topics(Settings(database_url="postgresql://unused", kafka_bootstrap=kafka))
    world.run("payment", MANY)  # other tests share this broker
    (found,) = check(world.sources(kafka), dead_letters={"payment": 999})
    assert "of 999 dead letters" in found.detail


def test_an_event_that_was_sent_twice_is_seen_if_it_must_be_sent_once(world: World, kafka: str) -> None:
    broker.reconcile_topics(Settings(database_url="postgresql://unused", kafka_bootstrap=kafka))
    before, producer = count_repeats(kafka), KafkaProducer(bootstrap_servers=kafka)
    for _ in range(2):
        producer.send("orderCreatedEvent", uuid4().bytes, key=b"key").get(10)
    assert count_repeats(kafka) == before
    for _ in range(2):
        producer.send("orderCreatedEvent", b"the same", key=b"key").get(10)
    producer.close()
    assert count_repeats(kafka) == before + 1
    rules = {
        once: {one.rule for one in check(world.sources(kafka), expected=Expected(sent_once=once))}
        for once in (True, False)
    }
    assert rules[True] - rules[False] == {"events-are-sent-once"}


@pytest.mark.parametrize(("key", "is_broken"), [("'poison'", False), ("NULL", False), ("'an-order'", True)])
def test_an_event_that_was_given_up_on_is_not_poison(world: World, key: LiteralString, is_broken: bool) -> None:
    world.run("payment", f"{EARLIER}; UPDATE dead_letter SET key = {key}")
    assert _rules(world, Expected(buried={})) == ({"only-poison-is-given-up"} if is_broken else set())
    assert _rules(world, Expected(buried={"payment": 1})) == _rules(world, Expected()) == set()


def test_a_dead_letter_that_was_redriven_no_longer_counts(world: World, kafka: str) -> None:
    send_letter(kafka)
    world.run("payment", f"{LETTER}; {NOTE}")
    assert check(world.sources(kafka)) == []


def test_a_dead_letter_may_be_redriven_once_earlier_ones_were_given_up_on(world: World) -> None:
    world.run("payment", f"{EARLIER}; {GIVEN_UP}; {LETTER}; {NOTE}")
    assert check(world.sources()) == []


def test_the_command_prints_what_is_wrong(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [part for name, url in world.databases.items() for part in ("--database", f"{name}={url}")]
    assert main([*arguments, "--mailcatcher", world.mailcatcher]) == 0
    world.run("inventory", "DELETE FROM reservation")
    assert main([*arguments, "--within", "0"]) == 1
    assert capsys.readouterr().out.startswith(f"confirmed-orders-have-their-stock: {CONFIRMED}: ")


def test_the_command_requires_all_databases(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--database", "order=postgresql://somewhere"])
    assert "--database is needed for each of order, payment" in capsys.readouterr().err


def test_every_rule_is_shown_to_fail() -> None:
    of_letters = {"dead-letters-are-the-expected-ones", "only-poison-is-given-up"}
    of_messages = {"customers-are-notified-once", "messages-reach-their-customers", "emails-are-not-repeated"}
    shown_elsewhere = {*of_messages, "events-are-sent-once", *of_letters}
    assert BREAKS.keys() | shown_elsewhere == RULES.keys()


def note(world: World, order: LiteralString, reference: LiteralString) -> None:
    """Record, as an operator, that the money of an order, or of a refund of it, was returned by other means."""
    how = f'{{"how": "was-refunded: {reference}"}}'
    world.run(
        "payment",
        "INSERT INTO audit_log (operator, action, subject, after)"
        f" VALUES ('ann', 'payments.resolve', '{order}', '{how}')",
    )


def test_money_that_was_refunded_by_hand_must_be_what_an_operator_recorded(world: World) -> None:
    """Such a refund was made on the gateway's own pages, without a key of ours, or by bank, unknown to the gateway."""
    for by_hand in ("UPDATE gateway_simulator.refund SET key = 'by hand' WHERE id = 're-5'",
                    "DELETE FROM gateway_simulator.refund WHERE id = 're-5'"):  # fmt: skip
        world.run("payment", by_hand)
        assert {"refunds-are-settled-once", "confirmed-orders-are-paid"} & {one.rule for one in check(world.sources())}
    note(world, PARTLY, "re-5")
    assert check(world.sources()) == []
    world.run(
        "payment", f"INSERT INTO gateway_simulator.refund VALUES ('{PARTLY}:refund:{REFUND}', 're-9', 'ch-5', 100)"
    )
    assert "refunds-are-settled-once" in {one.rule for one in check(world.sources())}


def test_a_cancelled_order_whose_money_was_returned_by_bank_costs_nothing(world: World) -> None:
    world.run("payment", f"DELETE FROM gateway_simulator.refund WHERE key = '{SOLD_OUT}:refund'")
    assert {"cancelled-orders-cost-nothing", "payments-agree"} == {one.rule for one in check(world.sources())}
    note(world, SOLD_OUT, "re-3")
    assert check(world.sources()) == []
