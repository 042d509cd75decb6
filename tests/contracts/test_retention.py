"""Each service keeps its data of an order for OMS_ORDER_DAYS, or for ever."""

from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from support.chassis import migrated

from oms_chassis.db import Database
from oms_chassis.retention import Retention, prune
from oms_chassis.runtime.service import Context

# The statements that write an order's rows, given its id, a time, and whether it has ended; and their tables.
ORDER = """
INSERT INTO orders (id, status, facts, version, name, email, phone, card_token, card_brand, card_last4, card_expiry,
    total, currency, placed_at, updated_at)
VALUES (%(id)s, CASE WHEN %(ended)s THEN 'CONFIRMED' ELSE 'PAID' END, '{}', 1, 'a', 'a', 'a', 'a', 'a', 'a', 'a', 1,
    'USD', %(at)s, %(at)s);
INSERT INTO order_line (order_id, position, item_id, name, quantity, unit_price) VALUES (%(id)s, 1, 'a', 'a', 1, 1);
INSERT INTO timeline (order_id, position, status, at) VALUES (%(id)s, 1, 'PENDING', %(at)s)
"""
PAYMENT = """
INSERT INTO payment (order_id, state, amount, currency, charge_id, updated_at)
VALUES (%(id)s, CASE WHEN %(ended)s THEN 'COMPLETED' ELSE 'REFUNDING' END, 1, 'USD', 'ch', %(at)s)
"""
ALLOCATION = """
INSERT INTO item (id, name, unit_price, currency, initial, on_hand, sold) VALUES ('a', 'a', 1, 'USD', 9, 9, 0)
ON CONFLICT DO NOTHING;
INSERT INTO allocation (order_id, is_allocated, at) VALUES (%(id)s, true, %(at)s);
INSERT INTO reservation (order_id, item_id, quantity) VALUES (%(id)s, 'a', 1)
"""
MESSAGE = """
INSERT INTO message (order_id, kind, state, created_at)
VALUES (%(id)s, 'confirmed', CASE WHEN %(ended)s THEN 'sent' ELSE 'pending' END, %(at)s)
"""
SERVICES = {
    "order": (ORDER, {"orders": "id", "order_line": "order_id", "timeline": "order_id"}),
    "payment": (PAYMENT, {"payment": "order_id"}),
    "inventory": (ALLOCATION, {"allocation": "order_id", "reservation": "order_id"}),
    "sms": (MESSAGE, {"message": "order_id"}),
    "email": (MESSAGE, {"message": "order_id"}),
}
MORE: dict[str, dict[str, Any]] = {
    "inventory": {"catalogue": "[]"},
    "sms": {"sms_url": "http://127.0.0.1:1/sms", "sms_from": "OMS"},
    "email": {"smtp_host": "127.0.0.1", "smtp_port": 25, "email_from": "shop@example.com"},
}
NEW = "7fffffff-ffff-7000-8000-00000000000a"  # an id from thousands of years in the future
OLD = "018cc251-f400-7000-8000-00000000000%d"  # ids of the first of January 2024
LONG_AGO, NOW = "2024-01-01T00:00:00Z", "9999-01-01T00:00:00Z"


def retentions(service: str, url: str, days: float | None) -> list[Retention]:
    """Return a service's retentions for its orders."""
    code = import_module(f"oms_{service}.main").SERVICE
    settings = code.settings(database_url=url, kafka_bootstrap="x:1", order_days=days, **MORE.get(service, {}))
    database = Database(url)
    parts = code.build(Context(settings, database, CollectorRegistry()))
    for stop in parts.on_stop:
        stop()
    database.dispose()
    return [one for one in parts.retentions if one.table in SERVICES[service][1]]


def write(database: Database, service: str, id_: str, at: str, *, ended: bool = True) -> None:
    for statement in SERVICES[service][0].split(";"):
        database.execute(statement, id=id_, at=at, ended=ended)


def left(database: Database, service: str) -> dict[str, set[str]]:
    return {
        table: {row.id for row in database.execute(f"SELECT {key}::text AS id FROM {table}")}
        for table, key in SERVICES[service][1].items()
    }


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_an_old_order_that_has_ended_is_deleted_with_all_its_rows_and_no_other(database_url: str, service: str) -> None:
    database = migrated(database_url, f"oms_{service}")
    write(database, service, OLD % 1, LONG_AGO)
    write(database, service, OLD % 2, LONG_AGO, ended=False)
    write(database, service, OLD % 3, NOW)  # its row was changed recently
    write(database, service, NEW, LONG_AGO)  # it is new by its id
    (retention,) = retentions(service, database_url, 400)
    assert prune(database, retention) is None
    kept = {OLD % 3, NEW} if service == "inventory" else {OLD % 2, OLD % 3, NEW}  # an allocation is made at once
    assert left(database, service) == dict.fromkeys(SERVICES[service][1], kept)
    database.dispose()


REFUND = {
    "order": """
INSERT INTO refund (id, order_id, amount, lines, restock, status)
VALUES (%(refund)s, %(id)s, 1, '[]', false, %(state)s)
""",
    "payment": """
INSERT INTO requested_refund (refund_id, order_id, amount, currency, state, reference, updated_at)
VALUES (%(refund)s, %(id)s, 1, 'USD', %(state)s, CASE %(state)s WHEN 'SUCCEEDED' THEN 're' END, '2024-01-01Z')
""",
}


@pytest.mark.parametrize("service", REFUND)
def test_an_order_is_kept_while_a_refund_of_it_is_not_completed(database_url: str, service: str) -> None:
    database = migrated(database_url, f"oms_{service}")
    for number, state in enumerate(("PENDING", "FAILED", "SUCCEEDED"), 1):
        write(database, service, OLD % number, LONG_AGO)
        database.execute(REFUND[service], refund=NEW[:-1] + str(number), id=OLD % number, state=state)
    (retention,) = retentions(service, database_url, 400)
    prune(database, retention)
    assert left(database, service) == {table: {OLD % 1, OLD % 2} for table in SERVICES[service][1]}
    database.dispose()


DISPUTE = {
    "order": """
INSERT INTO timeline (order_id, position, status, at, dispute_id, disputed)
VALUES (%(id)s, 2, 'CONFIRMED', '2024-01-01Z', 'd', 1)
""",
    "payment": """
INSERT INTO dispute (id, order_id, charge_id, amount, currency, noticed_at)
VALUES ('d', %(id)s, 'ch', 1, 'USD', '2024-01-01Z')
""",
}


@pytest.mark.parametrize("service", REFUND)
def test_an_order_is_not_kept_for_a_failed_refund_whose_money_was_returned_by_other_means(
    database_url: str, service: str
) -> None:
    database = migrated(database_url, f"oms_{service}")
    for number in (1, 2, 3):
        write(database, service, OLD % number, LONG_AGO)
        database.execute(REFUND[service], refund=NEW[:-1] + str(number), id=OLD % number, state="FAILED")
    database.execute(REFUND[service], refund=NEW, id=OLD % 1, state="SUCCEEDED")
    database.execute(DISPUTE[service], id=OLD % 2)
    (retention,) = retentions(service, database_url, 400)
    prune(database, retention)
    assert left(database, service) == {table: {OLD % 3} for table in SERVICES[service][1]}
    database.dispose()


STEP = """
INSERT INTO timeline (order_id, position, status, at, refund_id, refund_status)
SELECT %(id)s, max(position) + 1, 'CANCELLED', '2024-01-01Z', %(id)s, %(status)s FROM timeline WHERE order_id = %(id)s
"""


def test_a_cancelled_order_is_kept_while_a_returned_refund_is_owed(database_url: str) -> None:
    database = migrated(database_url, "oms_order")
    histories = ((), ("FAILED",), ("SUCCEEDED", "FAILED"), ("FAILED", "SUCCEEDED"))
    for number, statuses in enumerate(histories, 1):
        write(database, "order", OLD % number, LONG_AGO)
        for status in statuses:
            database.execute(STEP, id=OLD % number, status=status)
    database.execute("UPDATE orders SET status = 'CANCELLED', reason = 'customer'")
    (retention,) = retentions("order", database_url, 400)
    prune(database, retention)
    assert left(database, "order")["orders"] == {OLD % 2, OLD % 3}
    for owed in (OLD % 2, OLD % 3):
        database.execute(STEP, id=owed, status="SUCCEEDED")
    prune(database, retention)
    assert not any(left(database, "order").values())
    database.dispose()


def test_the_order_is_deleted_before_the_other_services_data(database_url: str, service: str) -> None:
    database = migrated(database_url, f"oms_{service}")
    just_now = datetime.now(UTC) - timedelta(days=400.5)
    write(database, service, OLD % 1, just_now.isoformat())
    (retention,) = retentions(service, database_url, 400)
    prune(database, retention)
    kept = set() if service == "order" else {OLD % 1}
    assert left(database, service) == dict.fromkeys(SERVICES[service][1], kept)
    database.dispose()


def test_chunks_are_bounded(database_url: str) -> None:
    database = migrated(database_url, "oms_payment")
    database.execute(
        "INSERT INTO payment (order_id, state, amount, currency, updated_at)"
        " SELECT '018cc251-f400-7000-8000-' || lpad(n::text, 12, '0'), 'FAILED', 1, 'USD', '2024-01-01Z'"
        " FROM generate_series(1, 2500) AS n"
    )
    (retention,) = retentions("payment", database_url, 400)
    sizes = [2500]
    while prune(database, retention) is not None:
        sizes.append(database.execute("SELECT count(*) AS n FROM payment")[0].n)
    assert sizes == [2500, 1500, 500]
    assert not left(database, "payment")["payment"]
    database.dispose()


def test_without_a_setting_everything_is_kept(service: str) -> None:
    assert retentions(service, "postgresql://nobody@127.0.0.1:1/nowhere", None) == []
