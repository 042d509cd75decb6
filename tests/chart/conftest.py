"""The chart as Helm renders it."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry
from support import certificates
from support.apiserver import ApiServer
from support.promtool import Rules
from support.serving import serving

from oms_chassis.db import Database
from oms_chassis.runtime.service import Components, Context
from oms_servers.folders import caches, only_one

CHART = Path(__file__).parents[2] / "charts" / "oms"
CI = sorted((CHART / "ci").glob("*-values.yaml"))
KUBERNETES = "1.34.0"
PROMETHEUS = "v0.305.0"  # version of its Go module: Prometheus 3.5
PROMTOOL_BUILD = 1200.0  # seconds; it takes a few minutes on two idle cores
REGISTRY = "registry.example.com/team"  # for tests to which it does not matter; every example sets its own
KINDS = {  # the kinds of a cluster with every operator
    *(("v1", kind) for kind in ("ConfigMap", "PersistentVolumeClaim", "Pod", "Secret", "Service", "ServiceAccount")),
    *(("apps/v1", kind) for kind in ("Deployment", "StatefulSet")),
    *(("batch/v1", kind) for kind in ("Job", "CronJob")),
    *(("rbac.authorization.k8s.io/v1", kind) for kind in ("Role", "RoleBinding")),
    *(("kafka.strimzi.io/v1", kind) for kind in ("Kafka", "KafkaNodePool", "KafkaTopic", "KafkaUser")),
    *(("postgresql.cnpg.io/v1", kind) for kind in ("Cluster", "ScheduledBackup")),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("policy/v1", "PodDisruptionBudget"),
}
SECRET = "postgresql://nobody:nothing@localhost:1/none"  # as it would be in a secret

Manifest = dict[str, Any]


def need(tool: str) -> str:
    """Return a program's path. If it is missing the test is skipped, or fails if all tools must be there."""
    if found := shutil.which(tool):
        return found
    if os.environ.get("OMS_TOOLS_REQUIRED"):
        pytest.fail(f"{tool} is not on the PATH, and OMS_TOOLS_REQUIRED says that it must be")
    pytest.skip(f"{tool} is not on the PATH")


def promtool_of_the_cache() -> Path | None:
    """Return promtool, built by Go from pinned sources, once for all runs; None if that is impossible."""
    built = caches() / f"promtool-{PROMETHEUS}"
    with only_one("promtool"):
        if built.exists() or (shutil.which("go") and _build_promtool(built)):
            return built
    return None


def _build_promtool(target: Path) -> bool:
    """Build promtool. Return whether that succeeded; after a timeout, the next attempt need not compile everything."""
    with tempfile.TemporaryDirectory() as folder:
        download = ["go", "mod", "download", "-json", f"github.com/prometheus/prometheus@{PROMETHEUS}"]
        sources, made = Path(folder) / "prometheus", Path(folder) / "promtool"
        try:
            found = subprocess.run(download, cwd=folder, capture_output=True, check=True, timeout=PROMTOOL_BUILD)
            shutil.copytree(json.loads(found.stdout)["Dir"], sources, copy_function=shutil.copyfile)
            # Without service discovery, which plugins.yml permits: the SDKs of all clouds are half of what is compiled.
            sources.chmod(0o755)
            (sources / "plugins").chmod(0o755)
            (sources / "plugins" / "plugins.go").unlink()
            build = ["go", "build", "-trimpath", "-ldflags=-s -w", "-o", str(made), "./cmd/promtool"]
            environment = {**os.environ, "CGO_ENABLED": "0"}
            subprocess.run(build, cwd=sources, env=environment, capture_output=True, check=True, timeout=PROMTOOL_BUILD)
        except (subprocess.SubprocessError, OSError):
            return False
        shutil.copy(made, target)
        return True


class Rendered:
    """The manifests that one call of Helm renders."""

    def __init__(self, text: str) -> None:
        self.text = text
        # libyaml's parser, because Python's takes a second.
        self.all: list[Manifest] = [one for one in yaml.load_all(text, yaml.CSafeLoader) if one]

    def of(self, kind: str) -> dict[str, Manifest]:
        """Return all objects of a kind, by name."""
        return {one["metadata"]["name"]: one for one in self.all if one["kind"] == kind}

    def pods(self) -> dict[str, Manifest]:
        """Return the pod specification of everything that runs pods, by kind and name."""
        found = {}
        for one in self.all:
            spec = one["spec"] if one["kind"] == "Pod" else one.get("spec", {}).get("template", {}).get("spec")
            if spec and "containers" in spec:
                found[f"{one['kind']}/{one['metadata']['name']}"] = spec
        return found

    def container(self, deployment: str) -> Manifest:
        """Return a Deployment's serving container."""
        found: Manifest = self.of("Deployment")[deployment]["spec"]["template"]["spec"]["containers"][0]
        return found

    def settings(self, service: str) -> Any:
        """Return the settings that the chart gives a service."""
        given = {one["name"]: one.get("value", SECRET) for one in self.container(f"oms-{service}")["env"]}
        with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
            for name, text in self.files(service).items():
                (Path(folder) / name).write_text(text)
            pem = certificates.certificate(Path(folder))  # in place of a mounted secret, with or without its key
            for name, value in given.items():
                place = str(pem) if value.startswith("/etc/oms/kafka-") else value.replace("/etc/oms/files", folder)
                patch.setenv(name, place)
            return import_module(f"oms_{service}.main").SERVICE.settings()

    def parts(self, service: str, registry: CollectorRegistry | None = None) -> Components:
        """Return a service's components, built from the settings that the chart gives it; nothing connects."""
        code, settings = import_module(f"oms_{service}.main").SERVICE, self.settings(service)
        database = Database(settings.database_url, settings.database_pool)
        try:
            parts: Components = code.build(Context(settings, database, registry or CollectorRegistry()))
            return parts
        finally:
            database.dispose()

    def files(self, service: str) -> dict[str, str]:
        """Return the files that a service is given, by name."""
        return dict(self.of("ConfigMap").get(f"oms-{service}-files", {}).get("data", {}))


class Helm:
    """One of the versions of Helm that the chart supports."""

    def __init__(self, program: str) -> None:
        self.program = program
        self._rendered: dict[tuple[str, ...], Rendered] = {}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Helm without checking the result."""
        unhurried = {
            **os.environ,
            "GOGC": "400",
        }  # it ends before there is much garbage, which would take a quarter of its time
        command = [self.program, *arguments]
        return subprocess.run(command, env=unhurried, capture_output=True, text=True, timeout=60, check=False)

    def render(
        self,
        values: Mapping[str, Any] | None = None,
        file: Path | None = None,
        name: str = "oms",
        chart: Path = CHART,
        **options: str,
    ) -> Rendered:
        """Return the manifests for these values, on top of those in a file."""
        more = (f"--{key.replace('_', '-')}={value}" for key, value in options.items())
        return self.template(name, str(chart), *self._arguments(values, file), *more)

    def template(self, *arguments: str) -> Rendered:
        """Return what `helm template` renders with these arguments."""
        if arguments not in self._rendered:
            done = self.run("template", *arguments)
            assert done.returncode == 0, done.stderr
            self._rendered[arguments] = Rendered(done.stdout)
        return self._rendered[arguments]

    def refusal(self, values: Mapping[str, Any], *options: str) -> str:
        """Return why these values are refused."""
        done = self.run("template", "oms", str(CHART), *self._arguments(values, None), *options)
        assert done.returncode != 0, "these values should have been refused"
        return done.stderr

    def install(self, values: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
        """Return what `helm install` would do and print without a cluster."""
        given = [one for one in self._arguments(values, None) if not one.startswith("--kube-version")]
        return self.run("install", "oms", str(CHART), "--dry-run=client", *given)

    def live(self, found: Iterable[Manifest], *options: str) -> subprocess.CompletedProcess[str]:
        """Render for a cluster with these objects, as `helm install` and `helm upgrade` do."""
        asking = ("--dry-run=server", "--disable-openapi-validation", "--namespace=shop")
        with serving(ApiServer(KINDS, found)) as server:
            where = f"--kube-apiserver={server.url}"
            return self.run("template", "oms", str(CHART), *asking, where, f"--set=image.registry={REGISTRY}", *options)

    def _arguments(self, values: Mapping[str, Any] | None, file: Path | None) -> list[str]:
        # JSON keeps dots in keys and the types of values, which --set does not.
        given = [f"--set-json={key}={json.dumps(value)}" for key, value in (values or {}).items()]
        base = ["-f", str(file)] if file else [f'--set-json=image.registry="{REGISTRY}"']
        return [f"--kube-version={KUBERNETES}", "--namespace=shop", *base, *given]


@pytest.fixture(scope="session")
def tool() -> Callable[[str], str]:
    """Return a function that finds a program, or skips the test."""
    return need


@pytest.fixture(scope="session")
def promtool(helm: Any) -> str:
    """Return promtool from the PATH, or build it. Without either the test is skipped, or fails if it must be there."""
    if found := shutil.which("promtool") or promtool_of_the_cache():
        return str(found)
    missing = "promtool is not on the PATH, and Go could not build it"
    if os.environ.get("OMS_PROMTOOL_REQUIRED"):
        pytest.fail(f"{missing}; OMS_PROMTOOL_REQUIRED says that it must be there")
    pytest.skip(missing)


@pytest.fixture
def rules(promtool: str, tmp_path: Path) -> Callable[..., Rules]:
    """Return a function that prepares the rules of a rendered chart for promtool."""
    return lambda rendered, *only: Rules(promtool, tmp_path, rendered, only)


@pytest.fixture(scope="session")
def helm() -> Helm:
    return Helm(need("helm"))


@pytest.fixture(scope="session")
def helm3() -> Helm:
    return Helm(need("helm3"))


@pytest.fixture(scope="session")
def render(helm: Helm) -> Callable[..., Rendered]:
    """Return a function that renders the chart, in its default mode unless values say otherwise."""
    return helm.render


@pytest.fixture(scope="session")
def installed(helm: Helm) -> Callable[..., Rendered]:
    """Return a function that renders `helm install` for a cluster with these objects."""

    def run(*found: Manifest, **values: Any) -> Rendered:
        done = helm.live(found, *_set(values))
        assert done.returncode == 0, done.stderr
        return Rendered(done.stdout)

    return run


@pytest.fixture(scope="session")
def refused(helm: Helm) -> Callable[..., str]:
    """Return a function that says why an upgrade of these objects is refused, if it is."""

    def run(*found: Manifest, **values: Any) -> str:
        done = helm.live(found, "--is-upgrade", *_set(values))
        return "" if done.returncode == 0 else done.stderr

    return run


def _set(values: Mapping[str, Any]) -> list[str]:
    """Return Helm's arguments for values whose names have `__` in place of dots."""
    return [f"--set-json={key.replace('__', '.')}={json.dumps(value)}" for key, value in values.items()]


@pytest.fixture(scope="session", params=CI, ids=lambda path: path.name.removesuffix("-values.yaml"))
def example(request: pytest.FixtureRequest) -> Path:
    """Return each example of values in turn."""
    path: Path = request.param
    return path
