"""Six orders and messages are stuck, each for a different reason; `oms doctor` names them, and `oms` repairs them.

The causes are made in the databases of this module's own platform: a constraint that one event violates, a missing
table, a header that no client sends, an event that is swallowed.
"""

import json
from collections.abc import Iterator

import httpx2
import pytest
from invariants import Sources, check
from support.chassis import eventually
from support.operators import Operator, own_platform, run_sql
from support.orders import body, ended, messages, place, read

from oms_contracts.topics import SERVICES
from oms_platform.platform import Platform
from oms_simulators.payment.testcards import TEST_CARDS, Outcome

pytestmark = pytest.mark.system

POISON, LOST, UNFIT, HELD = 3, 5, 7, 11  # quantities of Item3, at 690: each cause recognises its order by the total
UNAVAILABLE = next(number for number, card in TEST_CARDS.items() if card.outcome is Outcome.UNAVAILABLE)
# The first event of an order of this total is swallowed, or is given a header that the client refuses.
SABOTAGE = """
CREATE FUNCTION sabotage() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.topic <> 'orderCreatedEvent' THEN RETURN NEW; END IF;
    IF convert_from(NEW.value, 'UTF8') LIKE '%"total":{lost},%' THEN RETURN NULL; END IF;
    IF convert_from(NEW.value, 'UTF8') LIKE '%"total":{unfit},%' THEN NEW.headers = '[["h", null]]'; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER sabotage BEFORE INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION sabotage();
"""


def total(quantity: int) -> int:
    return quantity * 690


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


def held_up(operator: Operator) -> dict[tuple[str, str], dict[str, str]]:
    """Return what the doctor finds, by what is stuck and where."""
    found = operator.json("doctor", "--seconds", "0", code=3)
    return {(one["what"], one["step"]): one for one in found}


@pytest.fixture(scope="module")
def stuck(platform: Platform, operator: Operator) -> dict[str, str]:
    """Return the six orders, by cause. Each is open until its test repairs it."""
    with httpx2.Client(base_url=platform.url, timeout=20.0) as client:
        messenger = given_up_message(platform, operator, client)
        run_sql(platform, "payment", f"ALTER TABLE payment ADD CONSTRAINT poison CHECK (amount <> {total(POISON)})")
        run_sql(platform, "order", SABOTAGE.format(lost=total(LOST), unfit=total(UNFIT)))
        placed = {
            "message": messenger,
            "poison": place(client, body(("Item3", POISON))),
            "lost": place(client, body(("Item3", LOST))),
            "unfit": place(client, body(("Item3", UNFIT))),
            "gateway": place(client, body(card=UNAVAILABLE)),
        }
        run_sql(platform, "inventory", "ALTER TABLE allocation RENAME TO allocation_away")
        placed["paused"] = place(client, body(("Item3", HELD)))
    return placed


def given_up_message(platform: Platform, operator: Operator, client: httpx2.Client) -> str:
    """Return an order whose email was given up on: the mail server refused it temporarily until no attempt was left."""
    operator.oms("fail", "set", "mail", "4xx")
    order = place(client, body())
    ended(client, order)
    last = f"UPDATE job SET failed_calls = 499, run_at = now() WHERE id = '{order}' AND failed_calls > 0 RETURNING 1"
    assert eventually(lambda: run_sql(platform, "email", last), 60)
    given_up = f"SELECT 1 FROM message WHERE order_id = '{order}' AND state = 'failed'"
    assert eventually(lambda: run_sql(platform, "email", given_up), 90)
    operator.oms("fail", "clear")
    return order


@pytest.fixture(scope="module")
def found(platform: Platform, operator: Operator, stuck: dict[str, str]) -> dict[tuple[str, str], dict[str, str]]:
    """Return what the doctor finds while all are stuck. Then the fault that blocks a whole service is repaired."""
    paused = ("service inventory", "consumer")

    def all_named() -> dict[tuple[str, str], dict[str, str]]:
        found = held_up(operator)
        named = {what for what, _ in found}
        return found if {paused[0], *(f"order {one}" for one in stuck.values())} <= named else {}

    found = eventually(all_named, 120)
    run_sql(platform, "inventory", "ALTER TABLE allocation_away RENAME TO allocation")
    assert eventually(lambda: paused not in held_up(operator), 60)
    return found


def is_well(operator: Operator, order: str) -> bool:
    """Whether an order is not stuck, or nothing is at all: tests run in any order."""
    return f"order {order}" not in operator.run("doctor", "--seconds", "0", "--json").stdout


@pytest.mark.parametrize(
    ("cause", "step", "evidence", "command"),
    [
        ("poison", "payment", "is a dead letter of payment", "oms deadletters redrive payment "),
        ("unfit", "payment", "is in the quarantine of order", "oms outbox redrive order "),
        ("gateway", "payment", "waits for the gateway", "oms payments resolve "),
        ("lost", "payment", "an event to payment must be lost", "oms order cancel "),
        ("paused", "inventory", "the consumer of inventory is paused", "docs/runbooks/OmsConsumerPaused.md"),
        ("message", "email", "was given up", "oms messages resend "),
    ],
)
def test_the_doctor_names_the_cause_and_the_command_that_helps(
    stuck: dict[str, str],
    found: dict[tuple[str, str], dict[str, str]],
    cause: str,
    step: str,
    evidence: str,
    command: str,
) -> None:
    finding = found[f"order {stuck[cause]}", step]
    assert evidence in finding["evidence"]
    assert finding["command"].startswith(command)
    assert finding["since"]


def test_an_order_that_a_systemic_fault_blocked_continues_by_itself(
    operator: Operator, stuck: dict[str, str], found: object, orders: httpx2.Client
) -> None:
    assert found
    assert ended(orders, stuck["paused"], 90)["status"] == "CONFIRMED"
    assert eventually(lambda: is_well(operator, stuck["paused"]))


def test_a_poison_record_is_found_and_applied_once_its_cause_is_repaired(
    platform: Platform, operator: Operator, stuck: dict[str, str], found: object, orders: httpx2.Client
) -> None:
    (letter,) = operator.json("deadletters", "list", "--order", stuck["poison"])
    assert (letter["service"], letter["topic"], letter["error"]) == ("payment", "orderCreatedEvent", "CheckViolation")
    shown = operator.oms("deadletters", "show", "payment", str(letter["id"]))
    assert str(total(POISON)) in shown
    assert not any(private in shown for private in ("Anjana", "@customers.example", "762222222", "4242"))
    assert "Anjana" in operator.oms("deadletters", "show", "payment", str(letter["id"]), "--reveal", "-r", "a look")

    command = ("deadletters", "redrive", "payment", str(letter["id"]))
    refused = operator.run(*command, "--dry-run")
    assert (refused.returncode, "fails by CheckViolation" in refused.stdout) == (1, True)
    run_sql(platform, "payment", "ALTER TABLE payment DROP CONSTRAINT poison")
    assert "applied" in operator.oms(*command, "--dry-run")
    assert read(orders, stuck["poison"])["status"] == "PENDING"
    assert "applied" in operator.oms(*command, "--as", "bob", "--reason", "the constraint is gone")
    assert operator.run(*command).returncode == 1
    assert ended(orders, stuck["poison"])["status"] == "CONFIRMED"
    entries = operator.json("audit", "list", "--service", "payment", "--subject", str(letter["id"]))
    assert [(one["operator"], one["action"], one["reason"]) for one in entries] == [
        ("bob", "deadletters.redrive", "the constraint is gone"),
        ("ann", "deadletters.reveal", "a look"),
    ]


def test_a_quarantined_event_is_sent_once_it_can_be(
    platform: Platform, operator: Operator, stuck: dict[str, str], found: object, orders: httpx2.Client
) -> None:
    (row,) = operator.json("outbox", "list", "--service", "order", "--order", stuck["unfit"])
    run_sql(platform, "order", "DROP TRIGGER sabotage ON outbox; UPDATE outbox_quarantine SET headers = NULL")
    assert "waits to be sent" in operator.oms("outbox", "redrive", "order", str(row["id"]))
    assert ended(orders, stuck["unfit"])["status"] == "CONFIRMED"


def test_a_message_given_up_on_during_an_outage_is_sent_after_all(
    platform: Platform, operator: Operator, stuck: dict[str, str], found: object
) -> None:
    order = stuck["message"]
    (given_up,) = operator.json("messages", "list", "--channel", "email")
    assert (given_up["orderId"], given_up["state"]) == (order, "failed")
    assert "email" in operator.oms("messages", "resend", order)
    assert set(messages(platform.mailcatcher_url, order)) == {"email", "sms"}
    assert operator.json("messages", "list") == []
    again = operator.run("messages", "resend", order)
    assert (again.returncode, "not given up" in again.stdout) == (1, True)


def test_an_order_whose_event_is_lost_is_cancelled(
    operator: Operator, stuck: dict[str, str], found: object, orders: httpx2.Client
) -> None:
    operator.oms("order", "cancel", stuck["lost"])
    assert ended(orders, stuck["lost"])["status"] == "CANCELLED"


def test_a_charge_that_the_gateway_does_not_accept_is_closed(
    operator: Operator, stuck: dict[str, str], found: object, orders: httpx2.Client
) -> None:
    (job,) = operator.json("jobs", "list", "--queue", "charge", "--order", stuck["gateway"])
    assert job["state"] == "failing"
    payments = {one["orderId"]: one["state"] for one in operator.json("payments", "list")}
    assert payments[stuck["gateway"]] == "PENDING"
    operator.oms("payments", "resolve", stuck["gateway"], "--close")
    order = ended(orders, stuck["gateway"])
    assert (order["status"], order["reason"]) == ("CANCELLED", "payment-unavailable")


def test_a_payment_that_was_refunded_by_other_means_is_resolved(
    platform: Platform, operator: Operator, found: object, orders: httpx2.Client
) -> None:
    # The gateway refuses to refund this charge, as if it had been charged back.
    run_sql(platform, "payment", "ALTER TABLE gateway_simulator.refund ADD CONSTRAINT no CHECK (amount <> 249000000)")
    order = place(orders, body(("Item5", 10_000)))
    failing = f"SELECT 1 FROM job WHERE queue = 'refund' AND subject = '{order}' AND last_error IS NOT NULL"
    assert eventually(lambda: run_sql(platform, "payment", failing), 60)
    (payment,) = operator.json("payments", "list", "--state", "REFUNDING")
    assert payment["orderId"] == order
    command = ("payments", "resolve", order, "--refunded", "bank transfer 17")
    assert "REFUNDED" in operator.oms(*command, "--dry-run")
    assert "REFUNDED" in operator.oms(*command)
    assert ended(orders, order)["reason"] == "out-of-stock"
    again = operator.run(*command)
    assert (again.returncode, "This payment is settled: it is REFUNDED" in again.stderr) == (1, True)


def test_a_refund_that_the_gateway_refused_is_seen_and_made_after_all(
    platform: Platform, operator: Operator, orders: httpx2.Client
) -> None:
    order = place(orders, body(("Item4", 2)))
    ended(orders, order)
    operator.oms("fail", "set", "gateway", "refund-refused", "--times", "1")
    asked = operator.json("order", "refund", order, "--line", "Item4=1", "--restock", "--reason", "broken")
    assert eventually(lambda: read(orders, order)["refunds"][0].get("failure") == "gateway-refused", 60)
    listed = {one["orderId"]: one for one in operator.json("payments", "list")}
    (refund,) = listed[order]["refunds"]
    assert (refund["refundId"], refund["state"], refund["reason"]) == (asked["id"], "FAILED", "gateway-refused")
    assert asked["id"] in operator.oms("payments", "list")
    finding = held_up(operator)[f"refund {asked['id']} of order {order}", "refund"]
    assert (finding["evidence"], finding["since"] is not None) == ("it has failed: gateway-refused", True)
    operator.oms(*finding["command"].split()[1:], "--reason", "the bank has confirmed")
    assert eventually(lambda: read(orders, order)["refunded"] == asked["amount"], 60)
    assert order not in {one["orderId"] for one in operator.json("payments", "list")}
    assert "refund SUCCEEDED" in operator.oms("order", "show", order)
    assert f"refund {asked['id']}" not in operator.run("doctor", "--seconds", "0", "--json").stdout


def test_a_refund_that_waits_for_the_gateway_is_named_and_continues_by_the_named_command(
    platform: Platform, operator: Operator, orders: httpx2.Client
) -> None:
    order = place(orders, body(("Item4", 1)))
    ended(orders, order)
    run_sql(platform, "payment", "ALTER TABLE gateway_simulator.refund RENAME TO refund_away")
    asked = operator.json("order", "refund", order, "--amount", "5")
    what = (f"refund {asked['id']} of order {order}", "refund")

    def has_failed() -> dict[str, str] | None:
        found = held_up(operator).get(what)
        return found if found and "calls have failed; last error: " in found["evidence"] else None

    finding = eventually(has_failed, 90) or {}
    assert finding["command"] == f"oms payments resolve {order} --refund {asked['id']}"
    operator.oms(*finding["command"].split()[1:])
    run_sql(platform, "payment", "ALTER TABLE gateway_simulator.refund_away RENAME TO refund")
    assert eventually(lambda: read(orders, order).get("refunded") == 5, 60)
    assert what not in held_up_or_well(operator)


def test_a_message_about_a_refund_that_was_given_up_on_is_named_and_sent_after_all(
    platform: Platform, operator: Operator, orders: httpx2.Client
) -> None:
    order = place(orders, body(("Item4", 1)))
    ended(orders, order)
    messages(platform.mailcatcher_url, order)
    operator.oms("fail", "set", "mail", "4xx")
    asked = operator.json("order", "refund", order, "--amount", "5")
    failing = ("jobs", "list", "--service", "email", "--order", order, "--state", "failing")
    assert eventually(lambda: operator.json(*failing), 60)
    operator.oms("jobs", "cancel", "email", "email", asked["id"], "--yes")
    operator.oms("fail", "clear")
    finding = held_up(operator)[f"refund {asked['id']} of order {order}", "email"]
    assert finding["command"] == f"oms messages resend {asked['id']} --channel email"
    assert operator.run("messages", "resend", "--all", "--channel", "email", "--dry-run").returncode == 0
    operator.oms(*finding["command"].split()[1:])
    about = {"orderId": order, "kind": "email"}
    sent = f"{platform.mailcatcher_url}/messages"
    assert eventually(lambda: len(httpx2.get(sent, params=about).json()) == 2, 60)


def test_a_service_that_is_down_is_named(platform: Platform, operator: Operator) -> None:
    platform.services["sms"].stop()
    try:
        finding = held_up(operator)["service sms", "all"]
        assert "does not answer" in finding["evidence"]
    finally:
        platform.services["sms"].start()
        platform.services["sms"].await_ready()
    assert ("service sms", "all") not in held_up_or_well(operator)


def test_a_refund_made_by_hand_is_recorded_and_the_books_agree(
    platform: Platform, operator: Operator, orders: httpx2.Client
) -> None:
    """Somebody refunded it on the gateway's own pages before the refund was requested, which is then refused."""
    order = place(orders, body(("Item4", 1)))
    total = ended(orders, order)["total"]
    by_hand = (
        "INSERT INTO gateway_simulator.refund (key, id, charge_id, amount)"
        f" SELECT 'by hand', 're-by-hand', charge_id, amount FROM payment WHERE order_id = '{order}'"
    )
    run_sql(platform, "payment", by_hand)
    asked = operator.json("order", "refund", order, "--amount", str(total))
    what = f"refund {asked['id']} of order {order}"
    assert eventually(lambda: (what, "refund") in held_up_or_well(operator), 60)
    command = ("payments", "resolve", order, "--refund", asked["id"], "--refunded", "re-by-hand")
    assert "SUCCEEDED" in operator.oms(*command, "--dry-run")
    assert wrong_about(platform, order, asked["id"])
    assert "SUCCEEDED" in operator.oms(*command)
    assert eventually(lambda: read(orders, order)["refunded"] == total, 60)
    assert eventually(lambda: not wrong_about(platform, order, asked["id"]), 60) is True
    assert operator.run(*command).returncode == 1


def test_a_restored_catalogue_takes_effect_once_it_is_published_again(
    platform: Platform, operator: Operator, orders: httpx2.Client
) -> None:
    """The order service has read later versions of an item than the inventory has made since the restore."""
    run_sql(platform, "order", "UPDATE item SET version = 50, unit_price = 9 WHERE id = 'Item2'")
    kept = run_sql(platform, "order", "SELECT version, unit_price FROM item WHERE id = 'Item2'")
    ((price,),) = run_sql(platform, "inventory", "SELECT unit_price FROM item WHERE id = 'Item2'")
    assert operator.json("inventory", "publish", "--dry-run")["items"] == 5
    assert kept == [(50, 9)] == run_sql(platform, "order", "SELECT version, unit_price FROM item WHERE id = 'Item2'")
    assert "5 items are published" in operator.oms("inventory", "publish", "--reason", "restored")
    known = "SELECT unit_price FROM item WHERE id = 'Item2'"
    assert eventually(lambda: run_sql(platform, "order", known) == [(price,)], 60)

    def sold_for() -> int:
        return int(read(orders, place(orders, body(("Item2", 1))))["total"])

    assert eventually(lambda: sold_for() == price, 60)


def held_up_or_well(operator: Operator) -> set[tuple[str, str]]:
    """Return what the doctor finds, if anything."""
    found = operator.run("doctor", "--seconds", "0", "--json").stdout
    return {(one["what"], one["step"]) for one in json.loads(found)}


def wrong_about(platform: Platform, *subjects: str) -> list[str]:
    """Return the checker's violations about these subjects."""
    sources = Sources({name: platform.databases[name].url for name in SERVICES}, None, None)
    return [str(one) for one in check(sources) if one.subject in subjects]
