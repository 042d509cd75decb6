"""The chart as Helm renders it."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from oms_chassis.db import Database
from oms_chassis.service import Context, Parts

CHART = Path(__file__).parents[2] / "charts" / "oms"
CI = sorted((CHART / "ci").glob("*-values.yaml"))
KUBERNETES = "1.34.0"
REGISTRY = "registry.example.com/team"  # what the tests say that do not care, and what every example says for itself
SECRET = "postgresql://nobody:nothing@localhost:1/none"  # what a secret would say

Manifest = dict[str, Any]


def need(tool: str) -> str:
    """A program's path; where it is missing the test is skipped, or fails if all tools must be there."""
    if found := shutil.which(tool):
        return found
    if os.environ.get("OMS_TOOLS_REQUIRED"):
        pytest.fail(f"{tool} is not on the PATH, and OMS_TOOLS_REQUIRED says that it must be")
    pytest.skip(f"{tool} is not on the PATH")


class Rendered:
    """The manifests of one rendering."""

    def __init__(self, text: str) -> None:
        self.text = text
        # libyaml's own parser: Python's takes a second for a rendering.
        self.all: list[Manifest] = [one for one in yaml.load_all(text, yaml.CSafeLoader) if one]

    def of(self, kind: str) -> dict[str, Manifest]:
        """All of a kind, by name."""
        return {one["metadata"]["name"]: one for one in self.all if one["kind"] == kind}

    def pods(self) -> dict[str, Manifest]:
        """The pod specification of everything that runs pods, by kind and name."""
        found = {}
        for one in self.all:
            spec = one["spec"] if one["kind"] == "Pod" else one.get("spec", {}).get("template", {}).get("spec")
            if spec and "containers" in spec:
                found[f"{one['kind']}/{one['metadata']['name']}"] = spec
        return found

    def container(self, deployment: str) -> Manifest:
        """The container that serves."""
        found: Manifest = self.of("Deployment")[deployment]["spec"]["template"]["spec"]["containers"][0]
        return found

    def parts(self, service: str, registry: CollectorRegistry | None = None) -> Parts:
        """A service's parts, built from the settings that the chart gives it; nothing connects."""
        code = import_module(f"oms_{service}.main").SERVICE
        told = {one["name"]: one.get("value", SECRET) for one in self.container(f"oms-{service}")["env"]}
        with pytest.MonkeyPatch.context() as patch:
            for name, value in told.items():
                patch.setenv(name, value)
            settings = code.settings()
        database = Database(settings.database_url, 2)
        try:
            parts: Parts = code.build(Context(settings, database, registry or CollectorRegistry()))
            return parts
        finally:
            database.dispose()


class Helm:
    """One of the Helms that the chart is for."""

    def __init__(self, program: str) -> None:
        self.program = program
        self._rendered: dict[tuple[str, ...], Rendered] = {}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it; nothing is checked."""
        return subprocess.run([self.program, *arguments], capture_output=True, text=True, timeout=60, check=False)

    def render(
        self,
        values: Mapping[str, Any] | None = None,
        file: Path | None = None,
        name: str = "oms",
        chart: Path = CHART,
        **options: str,
    ) -> Rendered:
        """The manifests that these values make, on top of those in a file."""
        more = (f"--{key.replace('_', '-')}={value}" for key, value in options.items())
        return self.template(name, str(chart), *self._arguments(values, file), *more)

    def template(self, *arguments: str) -> Rendered:
        """What `helm template` makes of these arguments."""
        if arguments not in self._rendered:
            done = self.run("template", *arguments)
            assert done.returncode == 0, done.stderr
            self._rendered[arguments] = Rendered(done.stdout)
        return self._rendered[arguments]

    def refusal(self, values: Mapping[str, Any], *options: str) -> str:
        """Why these values are refused."""
        done = self.run("template", "oms", str(CHART), *self._arguments(values, None), *options)
        assert done.returncode != 0, "these values should have been refused"
        return done.stderr

    def _arguments(self, values: Mapping[str, Any] | None, file: Path | None) -> list[str]:
        # JSON keeps dots in keys and the types of values, which --set does not.
        given = [f"--set-json={key}={json.dumps(value)}" for key, value in (values or {}).items()]
        base = ["-f", str(file)] if file else [f'--set-json=image.registry="{REGISTRY}"']
        return [f"--kube-version={KUBERNETES}", "--namespace=shop", *base, *given]


@pytest.fixture(scope="session")
def tool() -> Callable[[str], str]:
    """Finds a program, or skips the test."""
    return need


@pytest.fixture(scope="session")
def helm() -> Helm:
    return Helm(need("helm"))


@pytest.fixture(scope="session")
def helm3() -> Helm:
    return Helm(need("helm3"))


@pytest.fixture(scope="session")
def render(helm: Helm) -> Callable[..., Rendered]:
    """Render the chart, in its default mode unless values say otherwise."""
    return helm.render


@pytest.fixture(scope="session", params=CI, ids=lambda path: path.name.removesuffix("-values.yaml"))
def example(request: pytest.FixtureRequest) -> Path:
    """Each example of values in turn."""
    path: Path = request.param
    return path
