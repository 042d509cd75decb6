"""A sixth service, added to a copy of this repository as CONTRIBUTING.md says, needs few edits and works."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from oms_servers.testing import temporary_folder

pytestmark = pytest.mark.scaffold

ROOT = Path(__file__).parents[2]
NAME = "loyalty"
MINUTES = 60.0
GENERATED = ("packages/contracts/asyncapi", "packages/contracts/eventcatalog", "packages/contracts/schemas")
WITH_GRAPHS = ("README.md", "docs/architecture.md")  # `make contracts` draws them
BY_SCRIPT = ("compose.yaml", "skaffold.yaml")
READERS = f'"order", "sms", "email", "{NAME}"'
FIVE = '"order", "payment", "inventory", "sms", "email"'
# The edits by hand: for each file, a text and its replacement.
EDITS = {
    "packages/contracts/oms_contracts/topics.py": {
        '"inventory", "order", "sms", "email")\nINVENTORY_REJECTED': f'"inventory", {READERS})\nINVENTORY_REJECTED',
        f"({FIVE})": f'({FIVE}, "{NAME}")',
    },
    "charts/oms/values.yaml": {
        "\nnotifications:\n": f"  {NAME}:\n    consumes: [inventoryUpdatedEvent]\n\nnotifications:\n",
    },
    "charts/oms/ci/external-values.yaml": {
        "notifications:\n": f"  {NAME}: {{database: {{existingSecret: {NAME}-db}}}}\nnotifications:\n",
    },
}
EDITED_CODE = [path for path in EDITS if path.endswith(".py")]


@dataclass(frozen=True)
class Copy:
    """A copy of this repository; its Python code is imported in place of the installed one."""

    folder: Path
    before: Mapping[str, bytes]

    def run(self, *command: str | Path, within: float = 4 * MINUTES) -> str:
        """Run a program and return its output. Raises an error with the whole output if it fails."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    def python(self, *arguments: str | Path) -> str:
        return self.run(sys.executable, *arguments)

    def changed(self) -> set[str]:
        """Return the changed files, without the new service's folder."""
        after = contents(self.folder)
        different = {path for path in after.keys() | self.before.keys() if after.get(path) != self.before.get(path)}
        return {path for path in different if not path.startswith(f"services/{NAME}/")}

    def _environment(self) -> dict[str, str]:
        """Return this process's environment, without the variables of the current run of pytest and coverage."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "COV"))}
        packages = ":".join(str(path) for path in packages_of(self.folder))
        mine = {"PYTHONPATH": packages, "PYTHONDONTWRITEBYTECODE": "1"}
        mine["MYPYPATH"] = ":".join(str(path.relative_to(self.folder)) for path in packages_of(self.folder))
        return kept | mine


def packages_of(folder: Path) -> list[Path]:
    return [path.parent for path in sorted(folder.glob("*/*/pyproject.toml"))] + [folder / "tests"]


def tracked() -> list[str]:
    """Return the files of this repository, including those that are not committed yet."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=MINUTES).stdout
    return [path for path in listed.split("\0") if path and (ROOT / path).is_file()]


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file that is not a tool's cache."""
    paths = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    found = {str(path.relative_to(folder)): path for path in paths}
    return {name: path.read_bytes() for name, path in found.items() if "cache" not in name}


@pytest.fixture(scope="module")
def copy() -> Iterator[Copy]:
    """Yield a copy of this repository with a sixth service."""
    with temporary_folder() as folder:
        for path in tracked():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, folder / path)
        made = Copy(folder, contents(folder))
        made.python("scripts/service.py", NAME)
        for path, edits in EDITS.items():
            edit(folder / path, edits)
        made.python("-m", "ruff", "format", *EDITED_CODE)  # `make format`
        made.python("-m", "oms_contracts")  # `make contracts`
        yield made


def edit(path: Path, edits: Mapping[str, str]) -> None:
    text = path.read_text()
    for old, new in edits.items():
        assert text.count(old) == 1, f"{path}: {old}"
        text = text.replace(old, new)
    path.write_text(text)


def test_at_most_three_files_are_edited_by_hand(copy: Copy) -> None:
    by_hand = {path for path in copy.changed() if not path.startswith(GENERATED) and path not in WITH_GRAPHS}
    assert by_hand - {*BY_SCRIPT} == set(EDITS)
    assert len(EDITS) <= 3
    assert all(f"`{path}`" in (ROOT / "CONTRIBUTING.md").read_text() for path in EDITS)


def test_lint_finds_nothing_in_it(copy: Copy) -> None:
    for tool in (["format", "--check"], ["check"]):
        copy.python("-m", "ruff", *tool, f"services/{NAME}", *EDITED_CODE)
    copy.python("scripts/imports.py")
    copy.python("scripts/sizes.py")
    copy.python("-m", "oms_contracts", "--check")
    if (ROOT / ".mypy_cache").exists():  # that of `make lint` saves a minute; changed files are checked again
        shutil.copytree(ROOT / ".mypy_cache", copy.folder / ".mypy_cache")
    copy.python("-m", "mypy", f"services/{NAME}/oms_{NAME}", f"services/{NAME}/tests")


def test_its_own_tests_pass(copy: Copy) -> None:
    copy.python("-m", "pytest", "-q", f"services/{NAME}")


def test_the_tests_of_all_services_include_it_and_pass(copy: Copy) -> None:
    tests = ("tests/contracts", "tests/images/test_dockerfiles.py", "tests/images/test_skaffold.py")
    output = copy.python(
        "-m", "pytest", "-v", "-p", "no:randomly", *tests, "packages/platform/tests/test_declarations.py"
    )
    assert f"[{NAME}] PASSED" in output


@pytest.mark.skipif(shutil.which("helm") is None, reason="helm is not on the PATH")
def test_the_chart_installs_it(copy: Copy) -> None:
    output = copy.python(
        "-m", "pytest", "-v", "-p", "no:randomly", "-k", NAME, "tests/chart/test_kafka.py", "tests/chart/test_pods.py"
    )
    assert f"[{NAME}] PASSED" in output


def test_an_order_is_confirmed_and_the_service_has_its_entry(copy: Copy) -> None:
    with temporary_folder() as data:
        found = json.loads(copy.python("tests/scaffold/order.py", data / "platform", NAME))
    assert found["status"] == "CONFIRMED"
    assert NAME in found["services"]
    assert len(found["services"]) == 6
