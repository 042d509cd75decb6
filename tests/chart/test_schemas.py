"""The manifests conform to Kubernetes' schemas, and a real API server with real CRDs accepts them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CONTEXT = os.environ.get("OMS_KUBE_CONTEXT", "kind-oms")
STRIMZI = (
    "Kafka,KafkaNodePool,KafkaTopic,KafkaUser"  # not published as a Go module: OMS_CRDS may name a folder with them
)
NAMESPACE = "chart-dry-run"

Kubectl = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def schemas(tmp_path_factory: pytest.TempPathFactory, tool: Any) -> Path:
    """Return a folder with schemas of everything that the chart makes."""
    tool("go")
    folder = tmp_path_factory.mktemp("schemas")
    more = sorted(Path(given).glob("*.yaml")) if (given := os.environ.get("OMS_CRDS")) else []
    subprocess.run([sys.executable, ROOT / "scripts" / "kube_schemas.py", folder, *more], check=True, timeout=280)
    return folder


@pytest.fixture(scope="session")
def conform(tool: Any, schemas: Path) -> Callable[[Path], subprocess.CompletedProcess[str]]:
    """Return a function that runs kubeconform on a folder: once for all, because each run reads the schemas again."""
    skipped = [] if os.environ.get("OMS_CRDS") else ["-skip", STRIMZI]
    location = f"{schemas}/{{{{ .ResourceKind }}}}{{{{ .KindSuffix }}}}.json"
    command = [tool("kubeconform"), "-strict", "-summary", *skipped, "-schema-location", location]
    return lambda folder: subprocess.run([*command, folder], capture_output=True, text=True, check=False)


def test_the_manifests_of_every_example_conform_to_the_schemas(helm: Any, conform: Any, tmp_path: Path) -> None:
    for example in (ROOT / "charts" / "oms" / "ci").glob("*-values.yaml"):
        (tmp_path / example.name).write_text(helm.render(file=example).text)
    done = conform(tmp_path)
    assert done.returncode == 0, done.stdout


def lacking(schema: Any, value: Any, listed: bool = False, path: str = "") -> Iterator[str]:
    """Yield the defaults of a schema that the API server would fill into the elements of a list."""
    if isinstance(value, list):
        for one in value:
            yield from lacking(schema.get("items", {}), one, True, f"{path}[]")
    if isinstance(value, dict):
        for name, part in schema.get("properties", {}).items():
            if name in value:
                yield from lacking(part, value[name], listed, f"{path}.{name}")
            elif listed and "default" in part:
                yield f"{path}.{name}"


def test_the_api_server_has_nothing_to_fill_into_a_list(helm: Any, schemas: Path) -> None:
    """Argo CD compares lists of custom resources as a whole: a default that is filled in is permanent drift."""
    for example in (ROOT / "charts" / "oms" / "ci").glob("*-values.yaml"):
        for one in helm.render({"serviceMonitor.enabled": True}, file=example).all:
            group, _, version = one["apiVersion"].partition("/")
            schema = schemas / f"{one['kind']}-{group.split('.')[0]}-{version}.json".lower()
            if version and "." in group and schema.exists():
                assert not list(lacking(json.loads(schema.read_text()), one)), (example.name, one["kind"])


def test_the_schemas_would_notice_a_typo(conform: Any, tmp_path: Path) -> None:
    wrong = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"prots": []}}
    (tmp_path / "wrong.json").write_text(json.dumps(wrong))
    done = conform(tmp_path)
    assert done.returncode != 0
    assert "prots" in done.stdout


@pytest.fixture(scope="session")
def kubectl(tool: Any) -> Iterator[Kubectl]:
    """Yield kubectl for a cluster with a namespace that accepts only restricted pods, and with all definitions."""
    program = tool("kubectl")

    def run(*arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, "--context", CONTEXT, *arguments],
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    if run("get", "--raw", "/readyz").returncode != 0:
        assert not os.environ.get("OMS_TOOLS_REQUIRED"), (
            f"no cluster answers as {CONTEXT}: scripts/kind-up.sh makes one"
        )
        pytest.skip(f"no cluster answers as {CONTEXT}")
    if run("get", "crd", "scheduledbackups.postgresql.cnpg.io").returncode != 0:
        code = "import kube_schemas; print(*kube_schemas.published(), sep='\\n')"
        folder = ROOT / "scripts"
        found = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
        for kind in ("clusters", "scheduledbackups"):
            path = next(one for one in found.stdout.split() if one.endswith(f"postgresql.cnpg.io_{kind}.yaml"))
            assert run("apply", "--server-side", "-f", path).returncode == 0
    level = {
        "labels": {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"}
    }
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, **level}}
    assert run("apply", "-f", "-", given=json.dumps(namespace)).returncode == 0
    yield run
    run("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.mark.cluster
@pytest.mark.xdist_group("api server")  # the first worker that ends deletes the namespace
def test_the_api_server_accepts_every_mode_without_a_warning(helm: Any, kubectl: Kubectl, example: Path) -> None:
    given = helm.render(file=example, namespace=NAMESPACE).text
    done = kubectl(
        "apply", "--server-side", "--dry-run=server", "--validate=strict", "-n", NAMESPACE, "-f", "-", given=given
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
