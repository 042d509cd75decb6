"""Deliberate bugs that a short run has to notice: a run proves nothing about a bug that it would not notice.

scripts/chaos.sh --mutant NAME
"""

from collections.abc import Mapping

from chaos import guards
from chaos.accidents import (
    CLOCK_PUT_BACK,
    COMMITTED_LATE,
    SHORT_LEASES,
    SLOW_GATEWAY,
    TWO_REPLICAS,
    crashed,
    during,
    killed_while,
    without_broker,
)
from chaos.mutant import Change, Mutant

_CHASSIS, _ORDER = "packages/chassis/oms_chassis", "services/order/oms_order"
_PAYMENT, _INVENTORY = "services/payment/oms_payment", "services/inventory/oms_inventory"
_SMS = "services/sms/oms_sms"

MUTANTS: Mapping[str, Mutant] = {
    "offsets are committed before the work": Mutant(
        f"{_CHASSIS}/messaging/consumer.py",
        "                if records:\n                    self._take_turn",
        "                if records:\n"
        "                    source.commit({(r.topic, r.partition): r.offset + 1 for r in records})\n"
        "                    self._take_turn",
        crashed("payment"),
        also=(Change(f"{_CHASSIS}/messaging/kafka/source.py", "COMMIT = 0.5  # seconds", "COMMIT = 0.0  # seconds"),),
    ),
    "a transaction that fails counts as processed": Mutant(
        f"{_CHASSIS}/messaging/consumer.py",
        "            turn.settle(source)\n            self._progress",
        "            turn.finish(turn.records)\n            turn.settle(source)\n            self._progress",
        during("silence", "payment-database"),
    ),
    "the relay deletes before it sends": Mutant(
        f"{_CHASSIS}/messaging/relay.py",
        "            return\n        try:\n            self._send(connection, rows)\n",
        "            return\n        outbox.delete(connection, [row.id for row in rows])\n"
        "        try:\n            self._send(connection, rows)\n",
        without_broker("order"),
    ),
    "the producer's futures are not looked at": Mutant(
        f"{_CHASSIS}/messaging/kafka/sink.py",
        "        outcomes = [_outcome(attempt) for attempt in attempts]",
        "        outcomes: list[Exception | None] = [None for _ in attempts]",
        during("silence", "kafka", 25.0),
    ),
    "poison is acknowledged and dropped": Mutant(
        f"{_CHASSIS}/messaging/processing.py",
        "            self._letters.write(portion)\n",
        "",
        during("poison on every topic", "kafka", 1.0),
    ),
    "a systemic fault is taken for poison": Mutant(
        f"{_CHASSIS}/messaging/faults.py",
        "    return isinstance(error, SystemicFault | OfLaterRelease) or is_of_the_schema(error)",
        "    return isinstance(error, SystemicFault | OfLaterRelease)",
        during("column missing", "inventory-database"),
    ),
    "a database that is away is taken for poison": Mutant(
        f"{_CHASSIS}/messaging/faults.py",
        "    return is_systemic(error) or failures.blocks_all_work(error)",
        "    return is_systemic(error)",
        during("connections refused", "inventory-database", 3.0),  # ends before the letters of its records are written
        times=6,
    ),
    "a job is finished whatever became of its call": Mutant(
        f"{_CHASSIS}/jobs/calls.py",
        "        return Call(job, outcome)\n",
        '        failed = {"state": "failed", "provider_id": None, "reason": label(outcome)}\n'
        "        return Call(job, outcome if isinstance(outcome, Done) else Done(failed))\n",
        during("SMS provider fails", "500"),
    ),
    "a worker's jobs are not due again when it dies": Mutant(
        f"{_CHASSIS}/jobs/queue.py",
        "SET attempts = attempts + 1, run_at = now() + make_interval(secs => %(lease)s)",
        "SET attempts = attempts + 1, run_at = now() + make_interval(secs => 86400 + %(lease)s)",
        crashed("payment"),
        also=(
            Change(
                f"{_CHASSIS}/jobs/queue.py",
                "clock_timestamp() + make_interval(secs => %(lease)s)",
                "clock_timestamp() + make_interval(secs => 86400 + %(lease)s)",
            ),
        ),
    ),
    "leases of calls under way are not renewed": Mutant(
        f"{_CHASSIS}/jobs/worker.py",
        "        self._renew()  # before the claim, which could otherwise take what is under way here\n",
        "",
        during("mail server fails", "slow"),
        environment=SHORT_LEASES,
    ),
    "jobs wait until a clock that was put back has come round": Mutant(
        f"{_CHASSIS}/jobs/worker.py",
        "            bring_forward(transaction, self._job_queue.name, self._job_queue.lease_seconds)\n",
        "            pass\n",
        CLOCK_PUT_BACK,
    ),
    "a claim counts as a failed call": Mutant(
        f"{_CHASSIS}/jobs/queue.py",
        "UPDATE job SET attempts = attempts + 1, run_at",
        "UPDATE job SET attempts = attempts + 1, failed_calls = failed_calls + 1,\n"
        "    failing_since = coalesce(failing_since, now()), run_at",
        SLOW_GATEWAY,
        environment={**SHORT_LEASES, "OMS_CHARGE_PATIENCE_SECONDS": "3"},
    ),
    "each attempt at a charge has a key of its own": Mutant(
        f"{_PAYMENT}/jobs/charging.py",
        "    key = charge_key(order.order_id)\n    if what",
        "    key = f\"{charge_key(order.order_id)}:{__import__('uuid').uuid4()}\"\n    if what",
        crashed("payment"),
    ),
    "each attempt at a refund has a key of its own": Mutant(
        f"{_PAYMENT}/jobs/refunding.py",
        "        made = _find(gateway, key) if order.noted",
        "        key = f\"{key}:{__import__('uuid').uuid4()}\"\n        made = _find(gateway, key) if order.noted",
        crashed("payment"),
    ),
    "a charge that nobody wants any more is kept": Mutant(
        f"{_PAYMENT}/jobs/charging.py",
        "    unwanted = [one for one in payments if one.state is State.REFUNDING]",
        "    unwanted: list[Payment] = []",
        during("gateway fails", "slow"),
    ),
    "a cancellation that overtakes its order leaves nothing behind": Mutant(
        f"{_PAYMENT}/handlers.py",
        "    unknown = repository.insert(transaction, (event.data for event in rejected.values()), State.REFUNDING)",
        "    unknown: set[str] = set()",
        during("process suspended", "payment"),
    ),
    "stock is not released when its order is cancelled": Mutant(
        f"{_INVENTORY}/handlers.py",
        "    stock.put_back(transaction, [_returned(",
        "    stock.put_back(transaction, [] and [_returned(",
    ),
    "stock is released each time that a cancellation comes": Mutant(
        f"{_INVENTORY}/handlers.py",
        "    releases.let_go(transaction, cancelled)\n",
        "",
        during("events delivered again", "inventory", 1.0),
    ),
    "an order that is cancelled still gets its stock": Mutant(
        f"{_INVENTORY}/handlers.py",
        "    releases.cancel(transaction, cancelled)\n",
        "",
        during("far away", "payment-database"),
    ),
    "stock is reserved without looking how much there is": Mutant(
        f"{_INVENTORY}/domain.py",
        "        if quantity > left.get(item, 0)",
        "        if quantity > 1_000_000_000",
    ),
    "an accepted cancellation is not published": Mutant(
        f"{_ORDER}/cancelling.py",
        "    _publish(transaction, (order for order, _ in changed), again=False)\n",
        "",
    ),
    "an outcome that is not known is answered as a refusal": Mutant(
        f"{_ORDER}/placing.py",
        "except (Unresolved, Undecided):\n",
        "except (Unresolved, Undecided):\n            raise Unavailable from None\n",
        COMMITTED_LATE,
        times=8,
    ),
    "a text has another key for each attempt": Mutant(
        f"{_SMS}/provider.py",
        '{"Idempotency-Key": notice.key}',
        "{\"Idempotency-Key\": __import__('uuid').uuid4().hex}",
        killed_while("SMS provider fails", "sms"),
    ),
    "a mail has another Message-ID for each attempt": Mutant(
        "services/email/oms_email/provider.py",
        "        message_id = domain.message_id(notice.key, self._from)",
        "        message_id = domain.message_id(__import__('uuid').uuid4().hex, self._from)",
        killed_while("mail server fails", "email", "drip"),
    ),
    "an idempotency key is not kept": Mutant(
        f"{_ORDER}/placing.py",
        "            origin.key,\n            origin.fingerprint.value if origin.fingerprint else None,",
        "            None,\n            None,",
    ),
    "a refund is not published": Mutant(
        f"{_PAYMENT}/jobs/refunding.py",
        "    outbox.emit(transaction, [event for one in payments for event in _events(one, *results[one.order_id])])",
        "    outbox.emit(transaction, [])",
    ),
    "the last event of each batch is not sent": Mutant(  # except for events about items, without which nothing starts
        f"{_CHASSIS}/messaging/relay.py",
        "            records = [outbox.outgoing(row) for row in rows]\n",
        "            last = len(rows) - (len(rows) > 1 and rows[0].topic != 'itemUpdatedEvent')\n"
        "            records = [outbox.outgoing(row) for row in rows[:last]]\n",
    ),
    "what comes back into the stock is not in its journal": Mutant(
        f"{_INVENTORY}/stock.py",
        "    rows = releases.put_back(transaction, quantities)\n    journal.write(transaction, movements)\n",
        "    rows = releases.put_back(transaction, quantities)\n",
    ),
    "a dead letter is redriven each time that it is asked for": Mutant(
        f"{_CHASSIS}/admin/deadletters.py",
        "    if letter.state != deadletterstore.DEAD:",
        "    if letter.state == deadletterstore.DROPPED:",
        during("events refused, and redriven", "payment-database"),
    ),
    "letters of one key are redriven in any order": Mutant(
        f"{_CHASSIS}/admin/deadletters.py",
        "            if (earlier := deadletterstore.earlier(transaction, letter)) is not None:\n"
        '                raise EarlierLetter(detail=f"Letter {earlier} is to be redriven or dropped first.")\n',
        "",
        during("events refused, and redriven", "sms-database", 40.0),
    ),
    "the relays of all replicas send at once": Mutant(
        f"{_CHASSIS}/messaging/relay.py",
        'while not execute(connection, "SELECT pg_try_advisory_lock(%(lock)s) AS ours", {"lock": _LOCK})[0].ours:',
        "while False:",
        TWO_REPLICAS,
    ),
    "orders are shown to callers who did not place them": Mutant(
        f"{_ORDER}/repository/orders.py",
        '_OWNED = "(%(owner)s::text IS NULL OR owner = %(owner)s)"',
        '_OWNED = "(%(owner)s::text IS NULL OR true)"',
        times=1,
    ),
    "earlier refunds of an order are not counted": Mutant(
        f"{_ORDER}/refunds.py",
        "        if amount > self.remaining:",
        "        if amount > self.total:",
    ),
    **guards.MUTANTS,
}
