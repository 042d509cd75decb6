"""Whatever happens, and in whatever order: the money adds up."""

import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import permutations
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from support.charges import BAD, GIVE_UP_AFTER, GOOD, charging_at, settled, take, work_all
from support.chassis import deliver, eventually, pending_events, process_due_jobs
from support.gateways import Fault, FlakyGateway, token
from support.payments import cancelled, created, rejected

from oms_chassis.db import Database
from oms_chassis.jobs.queue import Done, Job, Paused, Retry
from oms_chassis.jobs.worker import Worker
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts.topics import PAYMENT_COMPLETED, PAYMENT_FAILED, PAYMENT_REFUNDED
from oms_gateway import refund_key
from oms_payment import handlers
from oms_payment.jobs import charging, refunding
from oms_simulators.payment import ledger
from oms_simulators.payment.testcards import Outcome

ACTIONS = ("created", "created", "rejected", "cancelled", "charge", "refund")


def test_in_whatever_order_things_happen_the_money_ends_refunded_exactly_once(
    database: Database, gateway: FlakyGateway, database_url: str
) -> None:
    runs = sorted(set(permutations(ACTIONS)))
    for number, run in enumerate(runs):
        order = f"o{number}"
        steps: dict[str, Callable[[], object]] = {
            "created": partial(take, database, created(order, GOOD)),
            "rejected": partial(take, database, rejected(order)),
            "cancelled": partial(take, database, cancelled(order)),
            "charge": partial(process_due_jobs, database, charging_at(gateway)),
            "refund": partial(process_due_jobs, database, refunding.job_queue(gateway)),
        }
        for action in run:
            steps[action]()
        work_all(database, gateway)
    orders = {f"o{number}" for number in range(len(runs))}
    assert {event.subject: 1 for event in pending_events(database, PAYMENT_REFUNDED)} == dict.fromkeys(orders, 1)
    assert len(pending_events(database, PAYMENT_REFUNDED)) == len(runs)
    assert max(Counter(event.subject for event in pending_events(database, PAYMENT_COMPLETED)).values()) == 1
    assert pending_events(database, PAYMENT_FAILED) == []
    assert ledger.net_by_order(database_url) == dict.fromkeys(orders, 0)
    assert {row.state for row in database.execute("SELECT state FROM payment")} == {"REFUNDED"}


FAULTS = st.lists(st.sampled_from(Fault), max_size=14)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    faults=st.fixed_dictionaries({"charge": FAULTS, "find": FAULTS, "abandon": FAULTS}),
    card=st.sampled_from([Outcome.APPROVED, Outcome.CARD_DECLINED, Outcome.LOST_ANSWER, Outcome.UNAVAILABLE]),
)
def test_whatever_the_line_does_the_outcome_is_what_the_gateway_has_in_its_books(
    gateway: FlakyGateway, database_url: str, faults: dict[str, list[Fault]], card: Outcome
) -> None:
    line = FlakyGateway(gateway)
    for method, plan in faults.items():
        line.plan(method, *plan)
    order = str(uuid4())
    new = charging.new_job(created(order, token(card)))
    result = None
    for attempt in range(1, 60):
        job = Job("charge", new.id, order, new.payload, None, attempt, attempt - 1, 100.0 * (attempt - 1))
        outcome = charging.call(line, GIVE_UP_AFTER, job)
        if isinstance(outcome, Done):
            result = outcome.result
            break
        assert isinstance(outcome, Retry | Paused)
    assert result is not None
    gateway.charge(new.id, token(Outcome.APPROVED), 2500, "USD")  # a call that was still on its way
    assert ledger.net_by_order(database_url)[order] == (2500 if result["approved"] else 0)


def test_running_workers_charge_and_refund_a_hundred_orders(
    database: Database, gateway: FlakyGateway, database_url: str
) -> None:
    gateway.plan("charge", *[Fault.ANSWER_LOST, Fault.NONE, Fault.NOT_TAKEN, Fault.NONE, Fault.NONE] * 4)
    metrics = Metrics(CollectorRegistry())
    queues = (charging_at(gateway), refunding.job_queue(gateway))
    workers = [Worker(job_queue, database, metrics) for job_queue in queues]
    threads = [threading.Thread(target=worker.run) for worker in workers]
    for thread in threads:
        thread.start()
    orders = [f"o{n}" for n in range(100)]
    deliver(
        database, handlers.order_created, [created(order, GOOD if n % 4 else BAD) for n, order in enumerate(orders)]
    )
    deliver(database, handlers.give_back, [rejected(order) for order in orders[1::4]])
    try:
        eventually(lambda: settled(database) == {"COMPLETED": 50, "FAILED": 25, "REFUNDED": 25}, within=30)
    finally:
        for worker in workers:
            worker.stop()
        for thread in threads:
            thread.join(20)
    net = ledger.net_by_order(database_url)
    assert [net[order] for order in orders] == [0, 0, 2500, 2500] * 25
    assert all(len(charges) == 1 for charges in ledger.charges_by_order(database_url).values())
    assert len(pending_events(database, PAYMENT_REFUNDED)) == 25
    assert all(key == refund_key(order) for key, order in refund_keys(database))


def refund_keys(database: Database) -> list[tuple[str, str]]:
    rows = database.execute(
        "SELECT r.key, split_part(c.key, ':', 1) AS order_id FROM gateway_simulator.refund r"
        " JOIN gateway_simulator.charge c ON c.id = r.charge_id"
    )
    return [(row.key, row.order_id) for row in rows]
