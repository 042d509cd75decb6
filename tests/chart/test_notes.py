"""The notes that Helm prints after an install are true, whatever the values are."""

import re
from collections.abc import Callable
from typing import Any

import pytest

Notes = Callable[..., str]
EXTERNAL = {
    "kafka.mode": "external",
    "kafka.external": {"bootstrapServers": "kafka.example.com:9094", "existingSecret": "kafka"},
}
MESSAGES = {"notifications.smtp.host": "smtp.example.com", "notifications.sms.url": "https://sms.example.com"}
CUSTOMER = {"test.customer": {"email": "ops@example.com", "phoneNumber": "+94771234567"}}
BANK = {f"services.{service}.env.OMS_GATEWAY": "bank" for service in ("order", "payment")}
KEYS = {"auth.mode": "api-key"}


@pytest.fixture(scope="module")
def notes(helm: Any) -> Notes:
    """Return a function that returns the notes of an installation with these values."""

    def run(values: dict[str, Any]) -> str:
        done = helm.install(values)
        assert done.returncode == 0, done.stderr
        return str(done.stdout.split("NOTES:")[1])

    return run


@pytest.mark.parametrize(
    ("host", "hosts", "said"),
    [
        ("a.example.com", ["b.example.com"], "a.example.com"),
        ("", ["b.example.com"], "b.example.com"),
        ("", [], "ADDRESS"),
    ],
)
def test_they_name_a_host_of_the_ingress(notes: Notes, host: str, hosts: list[str], said: str) -> None:
    assert f"curl http://{said}/order" in notes({"ingress": {"enabled": True, "host": host, "hosts": hosts}})


@pytest.mark.parametrize("mode", ["embedded", "strimzi"])
@pytest.mark.parametrize("enabled", [True, False])
def test_they_name_only_what_exists(notes: Notes, mode: str, enabled: bool) -> None:
    said = notes({"kafka.mode": mode, "ingress.enabled": enabled})
    assert "helm test oms -n shop" in said
    assert "port-forward service/oms-order 9090:9090" in said
    assert ("kafka/oms-kafka" in said) == (mode == "strimzi")
    assert ("through the Ingress" in said) == enabled


@pytest.mark.parametrize("gone", ["order", "inventory"])
def test_they_name_no_service_that_is_not_deployed(notes: Notes, gone: str) -> None:
    said = notes({**KEYS, f"services.{gone}.enabled": False})
    assert f"oms-{gone} " not in said
    assert ("helm test" in said) == (gone != "order")
    steps = re.findall(r"(?m)^([0-9])\. ", said)
    assert steps == [str(number + 1) for number in range(len(steps))]


@pytest.mark.parametrize("values", [{"kafka.mode": "embedded"}, {}, EXTERNAL], ids=["embedded", "strimzi", "external"])
def test_they_say_in_every_mode_how_to_remove_the_passwords(notes: Notes, values: dict[str, Any]) -> None:
    assert "delete pod,pvc,secret -l app.kubernetes.io/instance=oms," in notes(values)


SHARED = {"kafka.strimzi.createCluster": False, "kafka.strimzi.clusterName": "shared"}


@pytest.mark.parametrize(
    ("values", "stay"),
    [({}, True), (SHARED, True), ({"keepData": False}, False), ({"kafka.mode": "embedded"}, False)],
    ids=["strimzi", "shared", "not kept", "embedded"],
)
def test_they_say_how_to_remove_the_topics_that_stay(notes: Notes, values: dict[str, Any], stay: bool) -> None:
    assert ("delete kafkatopic -l app.kubernetes.io/instance=oms" in notes(values)) == stay


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "an order goes through all 5 services"),
        ({**KEYS, "test.existingSecret": "oms-test"}, "an order goes through all 5 services"),
        ({**MESSAGES, **CUSTOMER}, "an order goes through all 5 services"),
        (KEYS, "callers without credentials are refused"),
        (MESSAGES, "no order is placed, because emails, SMS are real: test.customer"),
        ({**BANK, **MESSAGES, **CUSTOMER}, "no order is placed, because emails, SMS, payments are real"),
    ],
    ids=["default", "credential", "customer", "strangers", "messages", "payments"],
)
def test_they_say_what_the_test_does(notes: Notes, values: dict[str, Any], said: str) -> None:
    step = next(line for line in notes(values).splitlines() if line.startswith("2."))
    assert said in step
    assert ("through all" in said) == ("through all" in step)
