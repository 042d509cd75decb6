"""The Email Service's parts together: from an order's end to the customer's mailbox."""

import re
import socket
import threading
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from prometheus_client import CollectorRegistry
from pydantic import ValidationError
from support import chassis as testing
from support.notices import confirmed, declined, out_of_stock, running_mail_catcher

from oms_chassis.jobs.worker import Worker
from oms_chassis.runtime.cli import main
from oms_chassis.runtime.service import Context
from oms_chassis.telemetry.metrics import Metrics
from oms_email.main import SERVICE
from oms_email.settings import EmailSettings
from oms_servers.testing import free_port


def settings(url: str, port: int = 25, sender: str = "shop@example.com") -> EmailSettings:
    return EmailSettings(
        database_url=url, kafka_bootstrap="unused:1", smtp_host="127.0.0.1", smtp_port=port, email_from=sender
    )


def test_each_order_that_ends_is_notified_once(database_url: str, tmp_path: Path) -> None:
    database = testing.migrated(database_url, SERVICE.package)
    with running_mail_catcher(tmp_path, free_port(), free_port()) as catcher:
        parts = SERVICE.build(Context(settings(database_url, catcher.smtp_port), database, CollectorRegistry()))
        handlers = {one.topic.name: one.handle for one in parts.subscriptions}
        for event in (confirmed("a"), declined("b"), out_of_stock("c"), declined("a"), confirmed("b")):
            testing.deliver(database, handlers[event.type], [event])
        testing.process_due_jobs(database, parts.job_queues[0])
        for stop in parts.on_stop:
            stop()
        assert {one["orderId"]: one["subject"] for one in catcher.messages()} == {
            "a": "Your order is confirmed",
            "b": "Your order could not be paid",
            "c": "Your order is out of stock",
        }
        assert catcher.counts()["emailDeliveries"] == 3
    assert {row.state for row in database.execute("SELECT state FROM message")} == {"sent"}
    database.dispose()


def test_a_setting_that_is_no_sender_is_refused_at_the_start() -> None:
    with pytest.raises(ValidationError, match="email_from"):
        settings("postgresql://x", sender="nobody")


SHOP = {"smtp_host": "smtp.example.com", "email_from": "orders@example.com"}
LOGIN = {"smtp_username": "shop", "smtp_password": "secret"}


def made(**changes: Any) -> EmailSettings:
    return EmailSettings(
        **{"database_url": "postgresql://x", "kafka_bootstrap": "x:1", "smtp_port": 587, **SHOP, **changes}
    )


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"smtp_username": "shop", "smtp_starttls": True}, "OMS_SMTP_PASSWORD"),
        ({"smtp_password": "secret", "smtp_starttls": True}, "OMS_SMTP_USERNAME"),
        ({"smtp_username": "shop", "smtp_password": "", "smtp_starttls": True}, "OMS_SMTP_PASSWORD"),
        (LOGIN, "unencrypted"),
        ({"smtp_port": 465}, "OMS_SMTP_IMPLICIT_TLS"),
        ({"smtp_port": 465, "smtp_starttls": True}, "OMS_SMTP_IMPLICIT_TLS"),
        ({"smtp_starttls": True, "smtp_implicit_tls": True}, "exclude each other"),
        ({"smtp_starttls": True, "smtp_ca_file": "/nowhere.pem"}, "smtp_ca_file"),
        ({"smtp_host": "mail..example.com"}, "is no name of a host"),
        ({"smtp_host": f"{'x' * 64}.example.com"}, "is no name of a host"),
        ({"smtp_host": "smtp.example.com:587"}, "is no name of a host"),
        ({"smtp_host": "smtp://smtp.example.com"}, "is no name of a host"),
        ({"smtp_starttls": True, "smtp_ca_file": __file__}, "holds no certificates"),
        ({**LOGIN, "smtp_password": "secret\n", "smtp_starttls": True}, "must be on one line"),
        ({**LOGIN, "smtp_username": "shop\n", "smtp_starttls": True}, "must be on one line"),
        ({**LOGIN, "smtp_password": "secrét", "smtp_starttls": True}, "must be ASCII"),
        ({**LOGIN, "smtp_username": "shöp", "smtp_starttls": True}, "must be ASCII"),
    ],
)
def test_settings_that_cannot_work_or_give_the_login_away_are_refused_at_the_start(
    changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(ValidationError, match=named) as refusal:
        made(**changes)
    assert not re.search("secr[eé]t", str(refusal.value))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"smtp_username": "", "smtp_password": ""},
        {**LOGIN, "smtp_starttls": True},
        {**LOGIN, "smtp_implicit_tls": True, "smtp_port": 465},
        {**LOGIN, "smtp_host": "localhost"},
        {**LOGIN, "smtp_host": "127.0.0.1"},
        {**LOGIN, "smtp_host": "::1"},
    ],
)
def test_settings_that_can_work_are_taken(changes: dict[str, Any]) -> None:
    assert made(**changes).smtp_mail_timeout == 600.0


def test_settings_that_do_not_go_together_are_explained_to_whoever_starts_the_service(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fields = {"database_url": "postgresql://x", "kafka_bootstrap": "x:1", "smtp_port": "465", **SHOP}
    for name, value in fields.items():
        monkeypatch.setenv(f"OMS_{name.upper()}", value)
    assert main(SERVICE, ["serve"]) == 2
    assert capsys.readouterr().err.splitlines()[1:] == [
        "  port 465 is encrypted from its first byte: it needs OMS_SMTP_IMPLICIT_TLS, not STARTTLS"
    ]


class Breaking:
    """A mail server whose filter breaks down with each mail that it has, until it is repaired."""

    def __init__(self) -> None:
        self.is_broken = True

    async def handle_DATA(self, server: Any, _: Any, __: Any) -> str:  # noqa: N802 - aiosmtpd's
        if self.is_broken:
            server.transport.abort()
        return "250 ok"


def test_a_mail_server_that_breaks_down_with_each_mail_is_left_alone_and_no_mail_is_lost_meanwhile(
    database_url: str,
) -> None:
    """Each would be sent three times within seconds, and never again."""
    database = testing.migrated(database_url, SERVICE.package)
    server, metrics = Breaking(), Metrics(CollectorRegistry())
    controller = Controller(server, hostname="127.0.0.1", port=free_port())
    controller.start()
    parts = SERVICE.build(Context(settings(database_url, controller.port), database, CollectorRegistry()))
    events = [confirmed(f"o-{number}") for number in range(100)]
    handlers = {one.topic.name: one.handle for one in parts.subscriptions}
    testing.deliver(database, handlers[events[0].type], events)

    def has_met_it() -> bool:
        seen = metrics.registry.get_sample_value("oms_job_call_seconds_count", {"queue": "email"}) or 0
        return metrics.registry.get_sample_value("oms_job_queue_paused", {"queue": "email"}) == 1.0 or seen >= 300

    with testing.running(Worker(parts.job_queues[0], database, metrics)):
        testing.eventually(has_met_it)
        server.is_broken = False
        testing.eventually(lambda: not database.execute("SELECT FROM job"), within=60)
    for stop in parts.on_stop:
        stop()
    controller.stop()
    assert {row.state for row in database.execute("SELECT state FROM message")} == {"sent"}
    database.dispose()


SLOW, LEASE = 0.6, 2.0  # seconds: a mail takes longer than the lease of its job
ANSWERS = {b"EHLO": b"250 slow.example.com", b"DATA": b"354 go on", b".": b"250 taken", b"QUIT": b"221 bye"}


def serve_slowly(listener: socket.socket, accepted: list[bytes], over: threading.Event) -> None:
    """Accepts mails, and waits before each of its answers."""

    def talk(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines, suppress(OSError):
            connection.sendall(b"220 slow.example.com\r\n")
            is_mail = False
            for line in lines:
                word = line.strip().partition(b" ")[0].upper()
                if is_mail and word != b".":
                    continue
                if over.wait(SLOW):
                    return
                is_mail = word == b"DATA"
                if word == b".":
                    accepted.append(line)
                connection.sendall(ANSWERS.get(word, b"250 OK") + b"\r\n")

    while not over.is_set():
        with suppress(TimeoutError):
            connection, _ = listener.accept()
            connection.settimeout(20)
            threading.Thread(target=talk, args=(connection,)).start()


def test_a_mail_server_slower_than_the_lease_gets_each_mail_once(database_url: str) -> None:
    database = testing.migrated(database_url, SERVICE.package)
    accepted: list[bytes] = []
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as ends:
        listener.settimeout(0.1)
        server = threading.Thread(target=serve_slowly, args=(listener, accepted, over))
        server.start()
        ends.callback(server.join)
        ends.callback(over.set)
        metrics = Metrics(CollectorRegistry())
        for number in range(2):
            context = Context(settings(database_url, listener.getsockname()[1]), database, CollectorRegistry())
            parts = SERVICE.build(context)
            for stop in parts.on_stop:
                ends.callback(stop)
            worker = Worker(replace(parts.job_queues[0], lease_seconds=LEASE), database, metrics)
            thread = threading.Thread(target=worker.run)
            thread.start()
            ends.callback(thread.join)
            ends.callback(worker.stop)
            if number == 0:
                handlers = {one.topic.name: one.handle for one in parts.subscriptions}
                for event in (confirmed("a"), declined("b")):
                    testing.deliver(database, handlers[event.type], [event])
        testing.eventually(lambda: not database.execute("SELECT FROM job"), within=60)
    assert len(accepted) == 2
    assert [row.state for row in database.execute("SELECT state FROM message")] == ["sent", "sent"]
    database.dispose()
