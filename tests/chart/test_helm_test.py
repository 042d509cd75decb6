"""The script of `helm test`, run unchanged: it places an order, but never in a stranger's name."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from support.serving import serving

from oms_servers.ports import free_port

SCRIPT = Path(__file__).parents[2] / "charts" / "oms" / "files" / "test" / "place_order.py"
REAL = {"notifications.smtp.host": "smtp.example.com", "notifications.sms.url": "https://sms.example.com"}


class Orders(ThreadingHTTPServer):
    """An order service that confirms at once, or requires authentication."""

    def __init__(self, status: int = 200, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Answers)
        self.status = status
        self.refusals = 0  # orders that are refused temporarily before one is accepted
        self.lost = 0  # orders whose answer is lost, before one is answered
        self.refusal = (503, "catalogue-empty")
        self.placed: list[dict[str, Any]] = []
        self.keys: list[str | None] = []


class _Answers(BaseHTTPRequestHandler):
    server: Orders

    def do_GET(self) -> None:
        self._answer({"status": "CONFIRMED"})

    def do_POST(self) -> None:
        order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.keys.append(self.headers["Idempotency-Key"])
        if len(self.server.keys) <= self.server.lost:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if len(self.server.keys) <= self.server.refusals:
            status, kind = self.server.refusal
            self._answer({"type": f"/problems/{kind}"}, status)
            return
        self.server.placed.append(order)
        self._answer({"id": "1", "status": "PENDING"})

    def _answer(self, found: Any, status: int | None = None) -> None:
        body = json.dumps(found).encode()
        self.send_response(status or self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Log nothing: the test reports what matters."""


@pytest.fixture
def orders() -> Iterator[Orders]:
    with serving(Orders()) as server:
        yield server


def environment(rendered: Any, port: int) -> dict[str, str]:
    """Return the pod's environment, except for the address."""
    (pod,) = rendered.of("Pod").values()
    given = {one["name"]: one["value"] for one in pod["spec"]["containers"][0]["env"]}
    return {**os.environ, **given, "URL": f"http://127.0.0.1:{port}"}


def run(rendered: Any, orders: Orders) -> str:
    """Run the pod's command, and return its output."""
    env = environment(rendered, orders.server_address[1])
    done = subprocess.run([sys.executable, SCRIPT], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_orders_if_all_providers_are_simulated(render: Any, orders: Orders) -> None:
    assert "is CONFIRMED" in run(render(), orders)
    assert len(orders.placed) == 1


@pytest.mark.parametrize(
    "refusal", [(503, "catalogue-empty"), (429, "too-many-requests"), (409, "idempotency-key-in-use")]
)
def test_it_retries_when_it_is_refused_temporarily(render: Any, orders: Orders, refusal: tuple[int, str]) -> None:
    orders.refusals, orders.refusal = 2, refusal
    assert "is CONFIRMED" in run(render(), orders)
    assert len(orders.placed) == 1
    assert (len(orders.keys), len(set(orders.keys)), None in orders.keys) == (3, 1, False)


def test_it_retries_when_an_answer_is_lost(render: Any, orders: Orders) -> None:
    """That happens if the pod is replaced."""
    orders.lost = 2
    assert "is CONFIRMED" in run(render(), orders)
    assert (len(orders.keys), len(set(orders.keys)), len(orders.placed)) == (3, 1, 1)


def test_it_says_why_an_order_is_refused(render: Any, orders: Orders) -> None:
    orders.refusals, orders.refusal = 1, (409, "out-of-stock")
    env = environment(render(), orders.server_address[1])
    done = subprocess.run([sys.executable, SCRIPT], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "409" in done.stderr
    assert "out-of-stock" in done.stderr


def test_it_waits_until_a_policy_lets_it_connect(render: Any) -> None:
    env = environment(render(), port := free_port())
    with subprocess.Popen([sys.executable, SCRIPT], env=env, stdout=subprocess.PIPE, text=True) as script:
        assert script.stdout is not None
        assert "cannot be reached yet" in script.stdout.readline()
        with serving(Orders(port=port)) as server:
            assert script.wait(60) == 0
        assert len(server.placed) == 1


def test_it_fails_with_a_sentence_if_nobody_answers(render: Any) -> None:
    env = environment(render({"test.timeoutSeconds": 1}), free_port())
    done = subprocess.run([sys.executable, SCRIPT], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "cannot be reached: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("real", [REAL, {"notifications.sms.url": "https://sms.example.com"}], ids=["both", "SMS"])
def test_it_orders_nothing_if_messages_are_real(render: Any, orders: Orders, real: dict[str, Any]) -> None:
    assert "test.customer" in run(render(real), orders)
    assert not orders.placed


def test_it_orders_in_the_name_that_it_is_given(render: Any, orders: Orders) -> None:
    customer = {"email": "ops@example.com", "phoneNumber": "+94771234567"}
    run(render({**REAL, "test.customer": customer}), orders)
    assert customer.items() <= orders.placed[0]["customer"].items()


def test_it_never_orders_if_payments_are_real(render: Any, orders: Orders) -> None:
    customer = {"email": "ops@example.com", "phoneNumber": "+94771234567"}
    bank = {f"services.{service}.env.OMS_GATEWAY": "bank" for service in ("order", "payment")}
    run(render({**bank, "test.customer": customer}), orders)
    assert not orders.placed


def test_a_service_that_requires_authentication_counts_as_answering(render: Any, orders: Orders) -> None:
    orders.status = 401
    assert "order answers" in run(render(REAL), orders)


SECRET = {"name": "bank", "key": "gateway"}


@pytest.mark.parametrize(
    "real",
    [
        {f"services.{one}.extraEnv": [{"name": "OMS_GATEWAY", "value": "bank"}] for one in ("order", "payment")},
        {"services.payment.extraEnv": [{"name": "OMS_GATEWAY", "valueFrom": {"secretKeyRef": SECRET}}]},
        {"services.payment.env": {"OMS_GATEWAY": None}, "services.payment.envFromSecrets": ["bank"]},
        {"services.email.env.OMS_SMTP_HOST": "smtp.example.com"},
        {"services.sms.extraEnv": [{"name": "OMS_SMS_URL", "value": "https://sms.example.com"}]},
    ],
    ids=["gateway", "gateway of a secret", "gateway among others of a secret", "emails", "SMS"],
)
def test_it_orders_nothing_whichever_value_makes_providers_real(
    render: Any, orders: Orders, real: dict[str, Any]
) -> None:
    run(render(real), orders)
    assert not orders.placed


def test_its_log_can_be_read_after_it_has_passed(render: Any) -> None:
    """Helm before 4.1 reads the log only after `hook-succeeded` has deleted the pod, and the test fails
    (https://github.com/helm/helm/pull/31579)."""
    (pod,) = (one for one in render().all if one["kind"] == "Pod")
    assert pod["metadata"]["annotations"]["helm.sh/hook-delete-policy"] == "before-hook-creation"
