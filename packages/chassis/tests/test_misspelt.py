"""Variables that are not settings, but look like one."""

import json

import pytest

from oms_chassis.runtime import cli, misspelt
from oms_chassis.runtime.service import Components, Context, Service
from oms_chassis.settings import Settings


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("OMS_RATE_LIMT", "OMS_RATE_LIMIT"),
        ("OMS_RATELIMIT", "OMS_RATE_LIMIT"),
        ("OMS_CORS_ORIGIN", "OMS_CORS_ORIGINS"),
        ("oms_log_levl", "OMS_LOG_LEVEL"),
    ],
)
def test_a_variable_that_looks_like_a_setting_is_named_with_the_setting_it_resembles(name: str, meant: str) -> None:
    assert misspelt.among(["PATH", name], Settings) == {name.upper(): meant}


@pytest.mark.parametrize(
    "name",
    ["OMS_RATE_LIMIT", "oms_auth", "OMS_URL", "OMS_HOME", "OMS_PORT_SHIFT", "OMS_SMTP_PORT", "RATE_LIMT", "OMS_"],
)
def test_settings_and_unrelated_variables_are_not_named(name: str) -> None:
    assert misspelt.among([name], Settings) == {}


def test_a_start_logs_which_setting_was_meant(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Begun(Exception):
        """Raised when the service is about to be built."""

    def build(_: Context) -> Components:
        raise Begun

    given = {"DATABASE_URL": "postgresql://127.0.0.1:1/none", "KAFKA_BOOTSTRAP": "127.0.0.1:1", "RATE_LIMT": "9/60"}
    for name, value in given.items():
        monkeypatch.setenv(f"OMS_{name}", value)
    with pytest.raises(Begun):
        cli.main(Service("toy", "toy", Settings, build), ["serve"])
    (line,) = [json.loads(one) for one in capsys.readouterr().out.splitlines() if "no_such_setting" in one]
    assert (line["level"], line["name"], line["meant"]) == ("warning", "OMS_RATE_LIMT", "OMS_RATE_LIMIT")
