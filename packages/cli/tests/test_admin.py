"""How `oms` finds the admin APIs, and what it says when it cannot."""

import os
import subprocess
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from support import commandline
from support.chassis import chassis_only
from support.server import serving

from oms_chassis.admin import app
from oms_chassis.admin.service import AdministeredService
from oms_chassis.telemetry.metrics import Metrics
from oms_cli.admin import Acting, Admin
from oms_contracts.topics import SERVICES
from oms_platform import tokens
from oms_servers.errors import LocalError
from oms_servers.testing import free_port

TOKEN = "of-this-test-0123456789"


@pytest.fixture(autouse=True)
def nobody_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("OMS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OMS_HOME", str(tmp_path))


def oms(*arguments: str) -> subprocess.CompletedProcess[str]:
    return commandline.run(arguments)


def test_a_url_is_that_of_the_option_then_of_the_environment_then_of_oms_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMS_ADMIN_TOKEN", TOKEN)
    monkeypatch.setenv("OMS_ADMIN_URL_PAYMENT", "http://payment:9100/")
    monkeypatch.setenv("OMS_ADMIN_URL_SMS", "http://sms:9100")
    admin = Admin.of_environment(Acting("ann"), ["sms=http://localhost:1234"])
    assert list(admin.urls) == list(SERVICES)
    assert admin.urls["payment"] == "http://payment:9100"
    assert admin.urls["sms"] == "http://localhost:1234"
    assert admin.urls["order"] == "http://127.0.0.1:9100"


@pytest.mark.parametrize("given", ["payment", "=http://x", "nobody=http://x", "payment="])
def test_a_url_of_no_service_is_refused_in_a_sentence(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMS_ADMIN_TOKEN", TOKEN)
    with pytest.raises(LocalError, match="--url is SERVICE=URL"):
        Admin.of_environment(Acting("ann"), [given])


def test_without_a_token_a_command_says_where_there_is_one() -> None:
    result = oms("audit", "list")
    assert (result.returncode, result.stdout) == (1, "")
    assert "no admin token" in result.stderr
    assert "OMS_ADMIN_TOKEN" in result.stderr


def test_an_api_that_does_not_answer_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMS_ADMIN_TOKEN", TOKEN)
    port = free_port()
    result = oms("audit", "list", "--service", "payment", "--url", f"payment=http://127.0.0.1:{port}")
    assert result.returncode == 1
    assert "The admin API of payment" in result.stderr
    assert "OMS_ADMIN_URL_PAYMENT" in result.stderr
    # As it is, the command makes this URL answer: in whichever namespace kubectl is, and whoever has port 9100 here.
    assert f"kubectl -n oms port-forward deploy/oms-payment {port}:9100" in result.stderr.replace("\n", " ")
    assert TOKEN not in result.stderr


@pytest.mark.parametrize("command", [("list", "--service", "payment"), ("drop", "payment", "7", "--yes")])
def test_an_address_that_leads_to_another_service_is_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, database_url: str, command: tuple[str, ...]
) -> None:
    """As when the ports of two are forwarded, and taken for one another."""
    monkeypatch.setenv("OMS_ADMIN_TOKEN", TOKEN)
    database = chassis_only(database_url)
    made = app.create(AdministeredService("order", database), [], [], [TOKEN], Metrics(CollectorRegistry()))
    assert made is not None
    with serving(made) as order:
        result = oms("deadletters", *command, "--url", f"payment={order}")
    database.dispose()
    assert (result.returncode, result.stdout) == (1, "")
    assert "is not that of payment" in result.stderr
    assert "OMS_ADMIN_URL_PAYMENT" in result.stderr


def test_the_token_of_a_platform_is_its_users_alone(tmp_path: Path) -> None:
    token = tokens.new()
    tokens.keep(tmp_path, token)
    tokens.keep(tmp_path, token)
    assert tokens.kept(tmp_path) == token
    assert (tmp_path / tokens.NAME).stat().st_mode & 0o777 == 0o600
    assert tokens.kept(tmp_path / "none") == ""
