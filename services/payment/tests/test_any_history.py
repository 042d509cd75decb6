"""Whatever happens to payments in whatever order, operators included: the money is where the books say that it is."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient
from support.admin import operated
from support.charges import let_the_patience_end, make_due
from support.chassis import deliver, pending_events
from support.gateways import Fault, FlakyGateway, token
from support.payments import cancelled, created, refund_requested, rejected

from oms_chassis.db import Database
from oms_chassis.jobs.queue import JobQueue, Retry, claim
from oms_chassis.jobs.settling import Call, Settlement
from oms_chassis.runtime.service import Components
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts import topics
from oms_gateway import RequestRefused, charge_key
from oms_payment import admin, disputes, failed_refunds, handlers, repository, requests
from oms_payment.jobs import charging, refunding, requested
from oms_simulators.payment import gateway as simulator
from oms_simulators.payment import ledger
from oms_simulators.payment.testcards import Outcome

TOTAL = 100
NOTED = "bank transfer"
EXAMPLES, STEPS = 12, 25  # hundreds of examples, of thirty steps each, found nothing
CARDS = (
    Outcome.APPROVED,
    Outcome.CARD_DECLINED,
    Outcome.REFUND_PENDING,
    Outcome.REFUND_FAILS,
    Outcome.REFUND_FAILS_LATER,
    Outcome.DISPUTED,
)
TABLES = "payment, requested_refund, dispute, job, outbox"
LEDGER = "gateway_simulator.refund, gateway_simulator.charge, gateway_simulator.failed_call"
# Payments whose money is said to be back by a refund of which the gateway never said so.
_NEVER_MADE = """
SELECT payment.order_id FROM payment JOIN gateway_simulator.refund ON refund.id = payment.refund_id
WHERE payment.state = 'REFUNDED' AND 'succeeded' NOT IN (refund.status, refund.meanwhile)
"""
# What a payment may be next after it was seen in this state; `None`: there is none.
NEXT = {
    None: {"PENDING", "COMPLETED", "FAILED", "REFUNDING"},
    "PENDING": {"COMPLETED", "FAILED", "REFUNDING", "REFUNDED"},
    "COMPLETED": {"REFUNDING", "REFUNDED"},
    "FAILED": set(),
    "REFUNDING": {"REFUNDED"},
    "REFUNDED": {"REFUNDING"},
}
orders, refunds = st.sampled_from(["o1", "o2"]), st.sampled_from(["r1", "r2", "r3"])
queues = st.sampled_from([charging.QUEUE, refunding.QUEUE, requested.QUEUE])
faults = st.lists(st.sampled_from(Fault), max_size=3)
hows = st.sampled_from(["ask", "close", "again", "was-refunded"])


class World(RuleBasedStateMachine):
    """Two orders, whatever happens to them."""

    database: Database
    line: FlakyGateway
    client: TestClient
    url: str

    def __init__(self) -> None:
        super().__init__()
        self.database.execute(f"TRUNCATE {TABLES}, {LEDGER}")
        registry = CollectorRegistry()
        self.twice = requested.twice(registry)
        failed = refunding.failures(registry)
        queues = (
            charging.job_queue(self.line, 8, 1800.0, registry),
            refunding.job_queue(self.line, failed.inc, self.twice.inc),
            requested.job_queue(self.line, self.twice.inc),
        )
        metrics = Metrics(CollectorRegistry())
        self.queues = {one.name: (one, Settlement(one, self.database, metrics)) for one in queues}
        self.tasks = (
            failed_refunds.task(self.line, self.database, 300.0, failed.inc),
            disputes.task(self.line, self.database, 300.0, registry),
        )
        self.late: list[tuple[str, Call]] = []
        self.seen: dict[str, str] = {}
        self.noted: set[str] = set()
        self.by_hand = 0

    @initialize(card=st.sampled_from(CARDS))
    def one_order_is_charged(self, card: Outcome) -> None:
        self.order_is_placed("o1", card)
        self.calls_are_made("charge", [])

    @rule(order=orders, card=st.sampled_from(CARDS))
    def order_is_placed(self, order: str, card: Outcome) -> None:
        deliver(self.database, handlers.order_created, [created(order, token(card), TOTAL)])

    @rule(order=orders, how=st.sampled_from([rejected, cancelled, partial(cancelled, again=True)]))
    def order_ends(self, order: str, how: Any) -> None:
        deliver(self.database, handlers.give_back, [how(order, TOTAL)])

    @rule(
        order=orders,
        refund=refunds,
        amount=st.sampled_from([30, 60, TOTAL]),
        failed=st.sampled_from([None, None, None, True]),
    )
    def refund_is_asked_for(self, order: str, refund: str, amount: int, failed: bool | None) -> None:
        event = refund_requested(order, f"{order}-{refund}", amount, failed=failed)
        deliver(self.database, requests.refund_requested, [event])

    @rule(queue=queues, plan=faults)
    def calls_are_made(self, queue: str, plan: list[Fault]) -> None:
        self._plan(plan)
        for call in self._call(queue):
            self._settle(queue, call)

    @rule(queue=queues, plan=faults)
    def calls_are_made_and_not_settled(self, queue: str, plan: list[Fault]) -> None:
        self._plan(plan)
        self.late += [(queue, call) for call in self._call(queue)]

    @rule(queue=queues)
    def a_worker_dies_before_its_calls(self, queue: str) -> None:
        self._claim(self.queues[queue][0])

    @rule()
    def what_was_late_is_settled(self) -> None:
        late, self.late = self.late, []
        for queue, call in late:
            self._settle(queue, call)

    @rule()
    def patience_ends(self) -> None:
        let_the_patience_end(self.database)

    @rule(order=orders, refund=st.none() | refunds, how=hows)
    def an_operator_resolves(self, order: str, refund: str | None, how: str) -> None:
        which = {"refund": f"{order}-{refund}"} if refund else {}
        body = {"how": how, **which, **({"reference": NOTED} if how == "was-refunded" else {})}
        answer = self.client.post(f"/admin/payments/{order}/resolve", json=body)
        assert answer.status_code in (200, 404, 409), answer.text
        if how == "was-refunded" and answer.status_code == 200:
            self.noted.add(order)

    @rule(order=orders, amount=st.sampled_from([30, TOTAL]))
    def somebody_refunds_by_hand(self, order: str, amount: int) -> None:
        self.line.reset()
        charge = self.line.find(charge_key(order))
        if charge is not None and charge.approved:
            self.by_hand += 1
            try:
                self.line.refund(f"hand-{self.by_hand}", charge.id, amount)
            except RequestRefused:
                return
            self.noted.add(order)

    @rule()
    def refunds_end(self) -> None:
        self.database.execute("UPDATE gateway_simulator.refund SET ends_at = now() - interval '1 second'")

    @rule()
    def the_gateway_is_looked_through(self) -> None:
        self.line.reset()
        for task in self.tasks:
            task.call()

    @invariant()
    def only_arrows_of_the_diagram_are_walked(self) -> None:
        for row in self.database.execute("SELECT order_id, state FROM payment"):
            before = self.seen.get(row.order_id)
            assert row.state == before or row.state in NEXT[before], (before, row.state)
            self.seen[row.order_id] = row.state

    @invariant()
    def an_order_is_charged_once_at_most_and_what_is_written_of_it_is_so(self) -> None:
        charges = ledger.charges_by_order(self.url)
        for row in self.database.execute("SELECT order_id, state, charge_id FROM payment"):
            approved = [one.id for one in charges.get(row.order_id, []) if one.approved]
            assert len(approved) <= 1
            if row.charge_id is not None:
                assert approved == [row.charge_id]
            if row.state == "FAILED":
                assert approved == []
            if row.state == "COMPLETED":
                assert row.charge_id is not None

    def teardown(self) -> None:
        self.line.reset()
        self.what_was_late_is_settled()
        for _ in range(12):
            for queue in self.queues:
                self.calls_are_made(queue, [])
            self.refunds_end()
            self.the_gateway_is_looked_through()
            jobs = self.database.execute("SELECT queue, subject, last_error FROM job")
            self.refused = {job.subject for job in jobs if (job.queue, job.last_error) == ("refund", "RequestRefused")}
            if len(self.refused) == len(jobs):
                break
        else:
            raise AssertionError(jobs)
        for row in self.database.execute("SELECT * FROM payment"):
            self._check(row)
        events = [*self._events(topics.PAYMENT_COMPLETED), *self._events(topics.PAYMENT_FAILED)]
        first = {event.id: event.subject for event in events if event.id.startswith("o")}  # and not published again
        assert len(set(first.values())) == len(first), "of a charge, two outcomes were published"

    def _check(self, row: Any) -> None:
        charged = sum(one.amount for one in ledger.charges_by_order(self.url).get(row.order_id, []) if one.approved)
        given = {one.id: one.amount for one in ledger.refunds_by_order(self.url).get(row.order_id, [])}
        parts = self.database.execute("SELECT * FROM requested_refund WHERE order_id = %(o)s", o=row.order_id)
        assert sum(given.values()) <= charged
        assert row.state != "PENDING"
        if row.order_id in self.refused:
            assert row.state == "REFUNDING"
            return
        if row.state == "REFUNDING":
            assert row.reason in ("refund-failed", "failed-too-often")
        self._check_noted(row, parts)
        if row.order_id in self.noted:
            return
        if row.state == "REFUNDED" and charged and not self._disputed(row):
            assert sum(given.values()) == charged
        if row.state == "COMPLETED":
            assert sum(given.values()) == sum(one.amount for one in parts if one.state == "SUCCEEDED")
        for part in parts:
            assert part.state != "PENDING"
            if part.state == "SUCCEEDED":
                assert given.get(part.reference) == part.amount
        self._check_published(row, parts)

    def _check_noted(self, row: Any, parts: Any) -> None:
        """What went back by another way and by the gateway, too, is found out."""
        by_gateway = ledger.requested_refunds(self.url)
        twice = [part for part in parts if part.reference == NOTED and by_gateway.get(part.refund_id)]
        whole = self.database.execute(
            "SELECT FROM gateway_simulator.refund WHERE key ~ %(key)s AND status = 'succeeded'",
            key=f"^{row.order_id}:refund(~[0-9]+)?(-remainder)?$",
        )
        if twice or (row.refund_id == NOTED and whole):
            assert next(iter(self.twice.collect())).samples[0].value > 0, (row, twice)

    def _check_published(self, row: Any, parts: Any) -> None:
        """The outcome of a refund is the published one with the highest number."""
        outcomes = [(e.data.refund_id, e.data.outcome or 0, "SUCCEEDED") for e in self._events(topics.REFUND_COMPLETED)]
        outcomes += [(e.data.refund_id, e.data.outcome or 0, "FAILED") for e in self._events(topics.REFUND_FAILED)]
        for part in parts:
            found = sorted((number, state) for refund, number, state in outcomes if refund == part.refund_id)
            assert [state for _, state in found][-1:] == [part.state], (part, found)
            assert len({number for number, _ in found}) == len(set(found)), (part, found)
        if row.state == "REFUNDED":
            assert [e for e in self._events(topics.PAYMENT_REFUNDED) if e.subject == row.order_id]
        whole = sorted((number, state) for refund, number, state in outcomes if refund == row.order_id)
        if row.state == "REFUNDING":
            assert [state for _, state in whole][-1:] == ["FAILED"], (row, whole)
        elif whole:
            assert whole[-1][1] == "SUCCEEDED", (row, whole)

    def _disputed(self, row: Any) -> bool:
        return bool(self.database.execute("SELECT FROM dispute WHERE order_id = %(o)s", o=row.order_id))

    def _events(self, topic: topics.Topic) -> list[Any]:
        return pending_events(self.database, topic)

    def _plan(self, plan: list[Fault]) -> None:
        self.line.reset()
        for method in ("charge", "find", "abandon", "refund", "find_refund", "refunds_of"):
            self.line.plan(method, *plan)

    def _claim(self, queue: JobQueue) -> Any:
        make_due(self.database)
        with self.database.transaction() as transaction:
            return claim(transaction, queue.name, 100, queue.lease_seconds)

    def _call(self, name: str) -> Iterator[Call]:
        queue, _ = self.queues[name]
        for job in self._claim(queue):
            try:
                yield Call(job, queue.call(job))
            except RequestRefused:  # as the worker has it of a compensation: it is made again until somebody sees to it
                yield Call(job, Retry("RequestRefused"))

    def _settle(self, name: str, call: Call) -> None:
        _, settlement = self.queues[name]
        assert settlement.settle([call]) == []
        assert self.database.execute(_NEVER_MADE) == []


def test_after_any_history_the_money_is_where_the_books_say(
    database: Database, database_url: str, gateway: FlakyGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulator, "REFUND_SECONDS", 3600.0)
    gateway.find("nobody")  # makes the ledger
    with operated("payment", database, Components(admin=[admin.router], states=repository.states)) as client:
        world = type("World", (World,), {"database": database, "url": database_url, "line": gateway, "client": client})
        checks = list(HealthCheck)
        run_state_machine_as_test(
            world,
            settings=settings(
                max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, suppress_health_check=checks
            ),
        )
