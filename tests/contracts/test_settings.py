"""The settings of all services together."""

from importlib import import_module

import pytest

from oms_chassis.runtime import misspelt
from oms_contracts.topics import SERVICES

KINDS = {name: import_module(f"oms_{name}.main").SERVICE.settings for name in SERVICES}
NAMES = [f"OMS_{name.upper()}" for kind in KINDS.values() for name in kind.model_fields]


@pytest.mark.parametrize("service", SERVICES)
def test_no_setting_of_another_service_is_taken_for_a_misspelt_one(service: str) -> None:
    assert misspelt.among(NAMES, KINDS[service]) == {}
