"""A small consistent world, written by hand: five orders that have reached their ends.

Each of the checker's own tests breaks it in one place. None of the services runs here, only their tables are real.
"""

import smtplib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import LiteralString
from uuid import uuid4

import httpx2
import psycopg
from invariants import Answer, Promised, Sources

from oms_chassis import migrations
from oms_chassis.db import Database
from oms_contracts.topics import SERVICES
from oms_servers.postgres import PostgresServer
from oms_simulators.payment.ledger import Ledger
from support import wording
from support.wording import Wording

CONFIRMED = "00000000-0000-7000-8000-000000000001"
DECLINED = "00000000-0000-7000-8000-000000000002"
SOLD_OUT = "00000000-0000-7000-8000-000000000003"
CALLED_OFF = "00000000-0000-7000-8000-000000000004"  # by its customer, after it had its stock
PARTLY = "00000000-0000-7000-8000-000000000005"  # confirmed, and one of its two pieces was returned
REFUND = "00000000-0000-7000-8000-0000000000a5"  # of that
STRANGER = "00000000-0000-7000-8000-00000000000f"  # an order that does not exist
KEY = "anonymous:the-key"  # of the confirmed order
ITEM = "Item1"
PHONE = "+94762222222"  # of every order
EMAILS: Mapping[str, LiteralString] = {
    CONFIRMED: "confirmed@customers.example",
    DECLINED: "declined@customers.example",
    SOLD_OUT: "sold-out@customers.example",
    CALLED_OFF: "called-off@customers.example",
    PARTLY: "partly@customers.example",
}
WRITTEN_TO = (  # an order, and the message that its customer got
    (CONFIRMED, wording.CONFIRMED),
    (DECLINED, wording.DECLINED),
    (SOLD_OUT, wording.OUT_OF_STOCK),
    (CALLED_OFF, wording.CANCELLED),
    (PARTLY, wording.CONFIRMED),
    (PARTLY, wording.REFUNDED),
)

_ORDERS: LiteralString = f"""
INSERT INTO orders (id, status, reason, facts, version, name, email, phone, phone_e164, card_token, card_brand,
    card_last4, card_expiry, total, currency, placed_at, updated_at)
SELECT id::uuid, status, reason, '{{}}', version, 'A', email, '1', '{PHONE}', 't', 'visa', '4242', '02/40', 200, 'USD',
    now(), now()
FROM (VALUES
    ('{CONFIRMED}', 'CONFIRMED', NULL, 3, '{EMAILS[CONFIRMED]}'),
    ('{DECLINED}', 'CANCELLED', 'payment-declined', 3, '{EMAILS[DECLINED]}'),
    ('{SOLD_OUT}', 'CANCELLED', 'out-of-stock', 4, '{EMAILS[SOLD_OUT]}'),
    ('{CALLED_OFF}', 'CANCELLED', 'customer', 4, '{EMAILS[CALLED_OFF]}'),
    ('{PARTLY}', 'CONFIRMED', NULL, 5, '{EMAILS[PARTLY]}')
) AS o(id, status, reason, version, email);
INSERT INTO order_line (order_id, position, item_id, name, quantity, unit_price)
SELECT id, 1, '{ITEM}', 'Tea', 2, 100 FROM orders;
INSERT INTO timeline (order_id, position, status, at)
SELECT id::uuid, position, status, now() FROM (VALUES
    ('{CONFIRMED}', 1, 'PENDING'), ('{CONFIRMED}', 2, 'PAID'), ('{CONFIRMED}', 3, 'CONFIRMED'),
    ('{DECLINED}', 1, 'PENDING'), ('{DECLINED}', 2, 'CANCELLING'), ('{DECLINED}', 3, 'CANCELLED'),
    ('{SOLD_OUT}', 1, 'PENDING'), ('{SOLD_OUT}', 2, 'PAID'), ('{SOLD_OUT}', 3, 'CANCELLING'),
    ('{SOLD_OUT}', 4, 'CANCELLED'),
    ('{CALLED_OFF}', 1, 'PENDING'), ('{CALLED_OFF}', 2, 'PAID'), ('{CALLED_OFF}', 3, 'CANCELLING'),
    ('{CALLED_OFF}', 4, 'CANCELLED'),
    ('{PARTLY}', 1, 'PENDING'), ('{PARTLY}', 2, 'PAID'), ('{PARTLY}', 3, 'CONFIRMED')
) AS t(id, position, status);
INSERT INTO timeline (order_id, position, status, at, refund_id, refund_status) VALUES
    ('{PARTLY}', 4, 'CONFIRMED', now(), '{REFUND}', 'PENDING'),
    ('{PARTLY}', 5, 'CONFIRMED', now(), '{REFUND}', 'SUCCEEDED');
INSERT INTO refund (id, order_id, amount, lines, restock, status)
VALUES ('{REFUND}', '{PARTLY}', 100, '[{{"id": "{ITEM}", "quantity": 1}}]', true, 'SUCCEEDED');
INSERT INTO idempotency (scope, key, fingerprint, order_id, answer)
VALUES ('anonymous', 'the-key', 'f', '{CONFIRMED}', '{{}}')
"""
_LEDGER: LiteralString = f"""
INSERT INTO gateway_simulator.charge (key, id, approved, amount, currency, reason) VALUES
    ('{CONFIRMED}:charge', 'ch-1', true, 200, 'USD', NULL),
    ('{DECLINED}:charge', 'ch-2', false, 200, 'USD', 'card_declined'),
    ('{SOLD_OUT}:charge', 'ch-3', true, 200, 'USD', NULL),
    ('{CALLED_OFF}:charge', 'ch-4', true, 200, 'USD', NULL),
    ('{PARTLY}:charge', 'ch-5', true, 200, 'USD', NULL);
INSERT INTO gateway_simulator.refund (key, id, charge_id, amount) VALUES
    ('{SOLD_OUT}:refund', 're-3', 'ch-3', 200), ('{CALLED_OFF}:refund', 're-4', 'ch-4', 200),
    ('{PARTLY}:refund:{REFUND}', 're-5', 'ch-5', 100);
INSERT INTO requested_refund (refund_id, order_id, amount, currency, state, reference)
VALUES ('{REFUND}', '{PARTLY}', 100, 'USD', 'SUCCEEDED', 're-5');
INSERT INTO payment (order_id, state, amount, currency, charge_id, refund_id) VALUES
    ('{CONFIRMED}', 'COMPLETED', 200, 'USD', 'ch-1', NULL),
    ('{DECLINED}', 'FAILED', 200, 'USD', NULL, NULL),
    ('{SOLD_OUT}', 'REFUNDED', 200, 'USD', 'ch-3', 're-3'),
    ('{CALLED_OFF}', 'REFUNDED', 200, 'USD', 'ch-4', 're-4'),
    ('{PARTLY}', 'COMPLETED', 200, 'USD', 'ch-5', NULL)
"""
_STOCK: LiteralString = f"""
INSERT INTO item (id, name, unit_price, currency, initial, restocked, on_hand, sold, released) VALUES
    ('{ITEM}', 'Tea', 100, 'USD', 10, 1, 8, 6, 3), ('Item2', 'Coffee', 100, 'USD', 1, 0, 1, 0, 0);
INSERT INTO movement (item_id, kind, quantity, order_id, who) VALUES
    ('{ITEM}', 'restocked', 1, NULL, 'anonymous'), ('{ITEM}', 'released', 2, '{CALLED_OFF}', 'order'),
    ('{ITEM}', 'returned', 1, '{PARTLY}', 'order');
INSERT INTO stock_return (refund_id, item_id, order_id, quantity) VALUES ('{REFUND}', '{ITEM}', '{PARTLY}', 1);
INSERT INTO allocation (order_id, is_allocated)
    VALUES ('{CONFIRMED}', true), ('{SOLD_OUT}', false), ('{STRANGER}', false), ('{CALLED_OFF}', true),
        ('{PARTLY}', true);
INSERT INTO reservation (order_id, item_id, quantity, released)
    VALUES ('{CONFIRMED}', '{ITEM}', 2, 0), ('{CALLED_OFF}', '{ITEM}', 2, 2),
        ('{PARTLY}', '{ITEM}', 2, 1)
"""
_PAID: Mapping[str, Sequence[LiteralString]] = {
    "order": (
        """
        INSERT INTO orders (id, status, facts, version, name, email, phone, card_token, card_brand, card_last4,
            card_expiry, total, currency, placed_at, updated_at)
        SELECT id::uuid, 'PAID', '{paid}', 2, 'A', id || '@customers.example', '1', 't', 'visa', '4242', '02/40', 100,
            'USD', now(), now()
        FROM unnest(%(ids)s::text[]) AS id
        """,
        """
        INSERT INTO order_line (order_id, position, item_id, name, quantity, unit_price)
        SELECT id::uuid, 1, 'Item1', 'Tea', 1, 100 FROM unnest(%(ids)s::text[]) AS id
        """,
        """
        INSERT INTO timeline (order_id, position, status, at)
        SELECT id::uuid, position, status, now()
        FROM unnest(%(ids)s::text[]) AS id, (VALUES (1, 'PENDING'), (2, 'PAID')) AS step(position, status)
        """,
    ),
    "payment": (
        """
        INSERT INTO gateway_simulator.charge (key, id, approved, amount, currency)
        SELECT id || ':charge', 'ch-' || id, true, 100, 'USD' FROM unnest(%(ids)s::text[]) AS id
        """,
        """
        INSERT INTO payment (order_id, state, amount, currency, charge_id)
        SELECT id, 'COMPLETED', 100, 'USD', 'ch-' || id FROM unnest(%(ids)s::text[]) AS id
        """,
    ),
    "inventory": ("UPDATE item SET on_hand = on_hand + 1000, initial = initial + 1000",),
}
WRITTEN: Mapping[str, tuple[LiteralString, ...]] = {
    "order": (_ORDERS,),
    "payment": (_LEDGER,),
    "inventory": (_STOCK,),
}
_OF_EVERY_SERVICE: Sequence[LiteralString] = ("audit_log", "outbox", "job", "inbox", "dead_letter")
_TABLES: Mapping[str, Sequence[LiteralString]] = {
    "order": ("orders", "order_line", "timeline", "idempotency", "refund"),
    "payment": ("payment", "requested_refund", "gateway_simulator.charge", "gateway_simulator.refund"),
    "inventory": ("item", "allocation", "reservation", "stock_return", "restock", "movement", "carried"),
}


@dataclass(frozen=True)
class World:
    """The databases, and a mail catcher with the messages to the customers."""

    databases: Mapping[str, str]
    mailcatcher: str = ""
    smtp: int = 0

    def sources(self, kafka: str | None = None) -> Sources:
        return Sources(self.databases, self.mailcatcher, kafka)

    def run(self, service: str, sql: LiteralString) -> None:
        """Run a statement in a service's database."""
        with psycopg.connect(self.databases[service]) as connection:
            connection.execute(sql)

    def restore(self) -> None:
        """Make the world consistent again, whatever was done to it."""
        for service in SERVICES:
            with psycopg.connect(
                self.databases[service]
            ) as connection:  # shared: each connection is a process of Postgres
                connection.execute("SET session_replication_role = replica")  # bypasses triggers and foreign keys
                for table in (*_OF_EVERY_SERVICE, *_TABLES.get(service, ())):
                    connection.execute(
                        f"DELETE FROM {table}"
                    )  # there are only a few rows, and TRUNCATE would make files
                connection.execute("RESET session_replication_role")
                for sql in WRITTEN.get(service, ()):
                    connection.execute(sql)

    def write_paid(self, order_ids: Sequence[str]) -> None:
        """Write orders of one item each, PAID and charged, whose stock is not reserved yet."""
        for service, sql in _PAID.items():
            with psycopg.connect(self.databases[service]) as connection:
                for statement in sql:
                    connection.execute(statement, {"ids": list(order_ids)} if "%(ids)s" in statement else None)

    def notify(self, order_id: str, kind: str, said: Wording, to: str = "", times: int = 1) -> None:
        """Send a message to an order's customer, or to somebody else; an email may be sent several times."""
        if kind == "sms":
            sent = wording.text(order_id, said, to or PHONE)
            key = {"Idempotency-Key": uuid4().hex}
            httpx2.post(f"{self.mailcatcher}/sms", json=sent, headers=key).raise_for_status()
            return
        mail = wording.mail(order_id, said, to or EMAILS.get(order_id, "stranger@customers.example"))
        with smtplib.SMTP("127.0.0.1", self.smtp) as smtp:
            for _ in range(times):
                smtp.send_message(mail)


def databases(server: PostgresServer) -> dict[str, str]:
    """Return empty databases of the services, and the gateway's books."""
    urls = {name: server.create_database(f"world_{name}_{uuid4().hex}") for name in SERVICES}
    for name, url in urls.items():
        database = Database(url, 2)
        migrations.upgrade(database, f"oms_{name}")
        database.dispose()
    ledger = Ledger(urls["payment"])
    ledger.find_charge("any")  # makes the schema
    ledger.close()
    return urls


ANSWERS = [
    Answer("the-key", CONFIRMED, "confirmed@customers.example"),
    Answer(None, DECLINED, "declined@customers.example"),
    Answer(None, SOLD_OUT),
    Answer(None, CALLED_OFF),
    Answer(None, PARTLY),
]
PROMISED = [Promised(REFUND, PARTLY, 100)]
