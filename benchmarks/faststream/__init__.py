"""The same flow as a team that picks FastStream would build it.

It uses asyncio throughout, batch subscribers, a transactional outbox and an idempotent consumer in each service, and
set-based SQL. It is a baseline for docs/performance.md, so it always makes the cheaper choice.

What it lacks: it does not keep the order of one key's events (`publish_batch` sends a batch to one partition, whatever
its keys); after a crash, it repeats calls to the gateway, the mail server and the SMS provider without asking for the
outcome of the first; one message that fails blocks its whole batch for ever; declined cards, sold-out items, refunds
and `Idempotency-Key` do not exist; the amount is not compared with anything.

    python -m benchmarks.faststream SERVICE
"""
