"""Fills a database with the orders of two years, which the server itself generates.

Nearly all of them are CONFIRMED, some CANCELLED, and few under way. One customer in two hundred thousand has a
twentieth of the orders, like a shop that orders for others.
"""

from oms_chassis.db import Database

BIG, SMALL = "shop@big.example", "c7@scale.example"
YEARS = 2
CHUNK = 100_000

# A UUID of version 7, with the number in place of its random bits; its time is `placed_at`.
_ORDERS = f"""
INSERT INTO orders (id, status, reason, facts, version, name, email, phone, phone_e164, card_token, card_brand,
    card_last4, card_expiry, total, currency, placed_at, updated_at)
SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(n %% 4096), 3, '0') || '8'
        || lpad(to_hex(n), 15, '0'))::uuid,
    status, CASE status WHEN 'CANCELLED' THEN 'payment-declined' WHEN 'CANCELLING' THEN 'out-of-stock' END,
    '{{paid}}', 3, 'Ada Neutral', CASE WHEN n %% 20 = 0 THEN '{BIG}' ELSE 'c' || n %% 200000 || '@scale.example' END,
    '762222222', '+94762222222', 'tok', 'visa', '4242', '12/40', 100, 'USD', at, at
FROM (
    SELECT n, now() - make_interval(secs => ({YEARS} * 31536000.0) * (%(total)s - n) / %(total)s) AS at,
        CASE WHEN n %% 25 = 1 THEN 'CANCELLED' WHEN n %% 2000 = ANY(%(open)s)
            THEN ('{{CANCELLING,PAID,PENDING}}'::text[])[n %% 2000 - 1] ELSE 'CONFIRMED' END AS status
    FROM generate_series(%(first)s::int, %(last)s::int) AS n) AS numbered
ORDER BY n
"""
_LINES = """
INSERT INTO order_line (order_id, position, item_id, name, quantity, unit_price)
SELECT id, position, 'Item' || position, 'Tea', 1, 100 FROM orders, generate_series(1, 2) AS position
"""
_TIMELINE = """
INSERT INTO timeline (order_id, position, status, at)
SELECT id, position, 'PENDING', placed_at FROM orders, generate_series(1, 3) AS position
"""


def orders(database: Database, total: int, *, with_open: bool = True) -> None:
    """Write `total` orders with everything that belongs to them, through connections without a statement timeout. For a
    running service, leave out open ones, because the other services' databases would not know them."""
    numbers = [2, 3, 4] if with_open else []
    with database.engine.begin() as connection:
        for first in range(1, total + 1, CHUNK):
            last = min(first + CHUNK - 1, total)
            connection.exec_driver_sql(_ORDERS, {"total": total, "first": first, "last": last, "open": numbers})
    for statement in (_LINES, _TIMELINE):
        database.execute(statement)
    database.execute("VACUUM ANALYZE orders, order_line, timeline")
