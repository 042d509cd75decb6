"""The same flow as a team would build it that picks FastStream: asyncio throughout, batch subscribers, a transactional
outbox and an idempotent consumer in each service, set-based SQL. It is here to be measured against
(docs/performance.md), so where there was a choice it has the cheaper one.

What it does not keep: the order of one key's events (`publish_batch` sends a batch to one partition, whatever its
keys); calls to the gateway, the mail server and the SMS provider are repeated after a crash without asking what came of
them; one message that fails holds its whole batch for ever; a declined card, a sold-out item, a refund and
`Idempotency-Key` do not exist; the amount is not compared with anything.

    python -m benchmarks.faststream SERVICE
"""
