"""Every setting about time has a bound: values that no code could handle are refused before a service starts."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from pydantic import ValidationError

from oms_chassis.runtime.cli import main
from oms_contracts.topics import SERVICES
from oms_platform.addresses import Addresses
from oms_platform.declarations import declaration

ABOUT_TIME = ("_seconds", "_days", "_timeout")
GIVEN = {"OMS_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nowhere", "OMS_KAFKA_BOOTSTRAP": "127.0.0.1:1"}


def settings(service: str) -> Any:
    return import_module(f"oms_{service}.main").SERVICE.settings


def numbers(service: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the numeric settings, with their rules."""
    for name, field in settings(service).model_json_schema()["properties"].items():
        for one in field.get("anyOf", [field]):
            if one.get("type") in {"number", "integer"}:
                yield name, one


@pytest.mark.parametrize("service", SERVICES)
def test_every_setting_about_time_has_a_bound_and_its_default_is_within(service: str) -> None:
    about_time = [(name, rules) for name, rules in numbers(service) if name.endswith(ABOUT_TIME)]
    assert [name for name, rules in about_time if "maximum" not in rules] == []
    assert len(about_time) > 10


@pytest.mark.parametrize("text", ["inf", "-inf", "nan", "1e300"])
@pytest.mark.parametrize("service", SERVICES)
def test_no_setting_may_be_infinite_or_nan(service: str, text: str) -> None:
    fractions = [name for name, rules in numbers(service) if rules["type"] == "number"]
    with pytest.raises(ValidationError) as caught:
        settings(service).model_validate(dict.fromkeys(fractions, text))
    assert set(fractions) <= {str(error["loc"][0]) for error in caught.value.errors()}


@pytest.mark.parametrize(
    ("service", "variable", "text"),
    [
        ("email", "OMS_SMTP_MAIL_TIMEOUT", "inf"),
        ("email", "OMS_SMTP_TIMEOUT", "1e10"),
        ("order", "OMS_DRAIN_SECONDS", "inf"),
        ("order", "OMS_DRAIN_SECONDS", "nan"),
        ("payment", "OMS_INBOX_DAYS", "1e9"),
        ("sms", "OMS_SMS_CALL_SECONDS", "Infinity"),
        ("inventory", "OMS_DATABASE_STATEMENT_SECONDS", "9999999"),
    ],
)
def test_a_service_refuses_such_a_setting_by_its_name(
    service: str, variable: str, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    declared = declaration(service).environment(Addresses.local())
    for name, value in {**GIVEN, **declared, variable: text}.items():
        monkeypatch.setenv(name, value)
    assert main(import_module(f"oms_{service}.main").SERVICE, ["serve"]) == 2
    assert f"  {variable}: " in capsys.readouterr().err
