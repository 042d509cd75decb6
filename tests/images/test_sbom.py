"""The list of an image's contents, made here for the current environment."""

import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def written() -> str:
    command = [sys.executable, "-", "oms/order", "1.2.3"]
    with (ROOT / "scripts" / "sbom.py").open() as script:
        return subprocess.run(command, stdin=script, capture_output=True, text=True, check=True, timeout=120).stdout


@pytest.fixture(scope="module")
def components() -> Any:
    return {one["purl"]: one for one in json.loads(written())["components"]}


def test_the_interpreter_is_listed(components: Any) -> None:
    version = platform.python_version()
    assert components[f"pkg:generic/python@{version}"]["cpe"].startswith(f"cpe:2.3:a:python:python:{version}:")


def test_distributions_and_their_bundled_libraries_are_listed(components: Any) -> None:
    names = {one["name"] for one in components.values()}
    assert {"psycopg", "pydantic-core", "libpq", "libcrypto"} <= names
    (crypto,) = (one for one in components.values() if one["name"] == "libcrypto")
    assert crypto["version"].count(".") == 2  # its own version, by which vulnerabilities are known
    assert "openssl" in crypto["cpe"]


def test_components_that_a_wheel_lists_itself_are_listed(components: Any) -> None:
    assert any(purl.startswith("pkg:cargo/") for purl in components)


def test_a_wheel_that_lists_itself_occurs_once(components: Any) -> None:
    distributions = [one for one in components if one.startswith("pkg:pypi/")]
    assert not [purl for purl in distributions if "_" in purl]
    assert len({purl.partition("@")[0] for purl in distributions}) == len(distributions)


def test_the_same_environment_gives_the_same_document() -> None:
    assert written() == written()
