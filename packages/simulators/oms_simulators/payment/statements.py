"""The statements that write and read the simulator's books."""

from typing import LiteralString

# One simple-query batch is one transaction: the lock makes several processes that start together take turns.
SCHEMA: LiteralString = """
SELECT pg_advisory_xact_lock(hashtext('gateway_simulator'));
CREATE SCHEMA IF NOT EXISTS gateway_simulator;
CREATE TABLE IF NOT EXISTS gateway_simulator.charge (
    key text PRIMARY KEY,
    id text NOT NULL UNIQUE,
    approved boolean NOT NULL,
    amount bigint NOT NULL,
    currency text NOT NULL,
    reason text,
    made_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS gateway_simulator.refund (
    key text PRIMARY KEY,
    id text NOT NULL UNIQUE,
    charge_id text NOT NULL REFERENCES gateway_simulator.charge (id),
    amount bigint NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE gateway_simulator.charge ADD COLUMN IF NOT EXISTS taken_back_at timestamptz;
ALTER TABLE gateway_simulator.refund ADD COLUMN IF NOT EXISTS status text NOT NULL DEFAULT 'succeeded',
    ADD COLUMN IF NOT EXISTS ends_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS meanwhile text NOT NULL DEFAULT 'pending';
ALTER TABLE gateway_simulator.refund DROP CONSTRAINT IF EXISTS refund_charge_id_key;
CREATE INDEX IF NOT EXISTS refund_charge ON gateway_simulator.refund (charge_id);
CREATE TABLE IF NOT EXISTS gateway_simulator.failed_call (key text PRIMARY KEY)
"""

# DO UPDATE, not DO NOTHING: only then does the statement also return rows that existed before. Sorted by key, so that
# two processes that write the same keys wait for each other instead of deadlocking.
CHARGE: LiteralString = """
INSERT INTO gateway_simulator.charge (key, id, approved, amount, currency, reason)
SELECT key, id, approved, amount, currency, reason FROM json_to_recordset(%(rows)s::json)
    AS r(key text, id text, approved boolean, amount bigint, currency text, reason text) ORDER BY key
ON CONFLICT (key) DO UPDATE SET key = EXCLUDED.key
RETURNING key, id, approved, amount, currency, reason
"""
# A separate statement before the refund's, which then sees the outcome of every earlier refund of the charge.
LOCK_CHARGE: LiteralString = "SELECT FROM gateway_simulator.charge WHERE id = %(charge_id)s FOR UPDATE"
# The final status of a refund is known from the start, and so is the one until then: pending, or seemingly succeeded. A
# refund that was made later than now was made before the clock was set back, and has ended.
_HAS_ENDED: LiteralString = "(ends_at <= clock_timestamp() OR refund.made_at > clock_timestamp())"
SHOWN: LiteralString = f"id, charge_id, amount, CASE WHEN {_HAS_ENDED} THEN status ELSE meanwhile END AS status"
HAS_FAILED: LiteralString = f"status = 'failed' AND {_HAS_ENDED}"
REFUND: LiteralString = f"""
INSERT INTO gateway_simulator.refund (key, id, charge_id, amount, status, meanwhile, ends_at)
SELECT %(key)s, %(id)s, c.id, %(amount)s::bigint, %(status)s, %(meanwhile)s,
    clock_timestamp() + make_interval(secs => %(seconds)s)
FROM gateway_simulator.charge AS c
WHERE c.id = %(charge_id)s AND c.approved AND c.taken_back_at IS NULL AND %(amount)s::bigint BETWEEN 1 AND c.amount - (
    SELECT coalesce(sum(amount), 0) FROM gateway_simulator.refund
    WHERE charge_id = c.id AND key <> %(key)s AND NOT ({HAS_FAILED}))
ON CONFLICT (key) DO UPDATE SET key = EXCLUDED.key
RETURNING {SHOWN}
"""
TAKE_BACK: LiteralString = """
UPDATE gateway_simulator.charge SET taken_back_at = clock_timestamp() WHERE key = %(key)s AND approved
RETURNING id, approved, amount, currency, reason
"""
DISPUTES: LiteralString = """
SELECT 'dp-' || id AS id, key, id AS charge_id, amount, currency FROM gateway_simulator.charge
WHERE taken_back_at > now() - make_interval(days => %(days)s) ORDER BY taken_back_at
"""
FAILED_REFUNDS: LiteralString = f"""
SELECT refund.id, c.key, c.id AS charge_id, refund.amount, c.currency
FROM gateway_simulator.refund JOIN gateway_simulator.charge AS c ON c.id = refund.charge_id
WHERE {HAS_FAILED} AND ends_at > now() - make_interval(days => %(days)s)
ORDER BY ends_at
"""
FIND_CHARGE: LiteralString = (
    "SELECT id, approved, amount, currency, reason FROM gateway_simulator.charge WHERE key = %(key)s"
)
FIND_REFUND: LiteralString = f"SELECT {SHOWN} FROM gateway_simulator.refund WHERE key = %(key)s"
REFUNDS_OF: LiteralString = f"""
SELECT {SHOWN} FROM gateway_simulator.refund WHERE charge_id = %(charge_id)s ORDER BY made_at, id
"""
REQUESTED: LiteralString = f"""
SELECT split_part(split_part(key, ':', 3), '~', 1), id FROM gateway_simulator.refund
WHERE split_part(key, ':', 3) <> '' AND NOT ({HAS_FAILED}) ORDER BY id
"""
FAIL: LiteralString = "INSERT INTO gateway_simulator.failed_call (key) VALUES (%(key)s) ON CONFLICT DO NOTHING"
