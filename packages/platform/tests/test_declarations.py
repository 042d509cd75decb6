"""What a service's folder says is what it is started with."""

import json
from pathlib import Path

import pytest

from oms_contracts.topics import SERVICES
from oms_platform import sample
from oms_platform.addresses import Addresses
from oms_platform.declarations import Declaration, declaration
from oms_platform.services import service
from oms_servers.errors import LocalError

AT = Addresses.local()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "loyalty").mkdir()
    return tmp_path


def says(folder: Path, text: str) -> Path:
    (folder / "loyalty" / "pyproject.toml").write_text(text)
    return folder


def environment(name: str) -> dict[str, str]:
    started = service(name, AT, Path("log"), "postgresql://127.0.0.1:1/x", extra={"OMS_EXTRA": "1"})
    return dict(started.environment())


def test_every_service_is_in_a_folder_of_its_name_and_no_folder_is_forgotten() -> None:
    folders = {path.parent.name for path in (Path(__file__).parents[3] / "services").glob("*/pyproject.toml")}
    assert folders == set(SERVICES)


def test_a_service_is_given_the_addresses_that_its_folder_asks_for() -> None:
    assert environment("sms")["OMS_SMS_URL"] == f"http://127.0.0.1:{AT.mailcatcher}/sms"
    assert environment("email")["OMS_SMTP_PORT"] == str(AT.smtp)
    assert json.loads(environment("inventory")["OMS_CATALOGUE"]) == sample.ITEMS


def test_every_service_is_given_what_all_need() -> None:
    for name in SERVICES:
        found = environment(name)
        assert found["OMS_INTERNAL_PORT"] == str(AT.internal[name])
        assert found["OMS_DATABASE_URL"]
        assert found["OMS_EXTRA"] == "1"


def test_only_services_with_routes_for_customers_need_a_free_port_for_them() -> None:
    listens = {name: service(name, AT, Path("log"), "").listens for name in SERVICES}
    assert listens["order"] == (AT.http["order"], AT.internal["order"])
    assert listens["payment"] == (AT.internal["payment"],)


def test_a_folder_may_say_nothing(folder: Path) -> None:
    assert declaration("loyalty", says(folder, '[project]\nname = "oms-loyalty"\n')) == Declaration("loyalty")


def test_braces_are_doubled_where_they_are_meant(folder: Path) -> None:
    found = declaration("loyalty", says(folder, "[tool.oms.local-environment]\nOMS_RATE = '{{\"a\": 1}} {host}'\n"))
    assert found.environment(AT) == {"OMS_RATE": '{"a": 1} 127.0.0.1'}


@pytest.mark.parametrize(
    ("text", "culprit"),
    [
        ("[tool.oms]\nhtpp = true\n", "htpp"),
        ("[tool.oms]\nhttp = 'yes'\n", "http"),
        ("[tool.oms]\nlocal-environment = ['OMS_RATE']\n", "local-environment"),
        ("[tool.oms.local-environment]\nOMS_RATE = 3\n", "local-environment"),
        ("[tool.oms.local-environment]\nOMS_URL = 'http://{hots}'\n", "OMS_URL"),
        ("[tool.oms.local-environment]\nOMS_URL = '{'\n", "OMS_URL"),
        ("[tool.oms.local-environment]\nOMS_URL = '{host.nothing}'\n", "OMS_URL"),
        ("[tool.oms]\nhttp =\n", "TOML"),
    ],
)
def test_an_invalid_declaration_is_refused_and_named(folder: Path, text: str, culprit: str) -> None:
    with pytest.raises(LocalError, match=culprit) as refused:
        declaration("loyalty", says(folder, text)).environment(AT)
    assert "loyalty" in str(refused.value)


def test_a_service_without_a_folder_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="loyalty"):
        declaration("loyalty", tmp_path)
