"""Writes the JSON schemas that kubeconform checks manifests against: `kube_schemas.py FOLDER [CRD.yaml ...]`.

Kubernetes' own come from its OpenAPI document, the custom resources' from the definitions that their projects publish;
both are in Go modules, which `go mod download` fetches. The schemas refuse unknown fields, as the API server can.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

KUBERNETES = "k8s.io/kubernetes@v1.34.4"
DEFINITIONS = {
    "github.com/prometheus-operator/prometheus-operator@v0.85.0": "example/prometheus-operator-crd",
    "github.com/kedacore/keda/v2@v2.21.0": "config/crd/bases",
    "sigs.k8s.io/gateway-api@v1.6.3": "config/crd/standard",
    "github.com/cloudnative-pg/cloudnative-pg@v1.27.0": "config/crd/bases",
}
LOOSE = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": ["string", "integer"]},
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": ["string", "number"]},
}

Schema = dict[str, Any]


class Loader(yaml.CSafeLoader):
    """Loads definitions in which a lone `=` is a string: YAML 1.1 gives it a meaning that PyYAML does not implement."""


Loader.add_constructor("tag:yaml.org,2002:value", lambda _, node: node.value)


def main() -> int:
    """Write all schemas."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    definitions = strict(json.loads((module(KUBERNETES) / "api/openapi-spec/swagger.json").read_text())["definitions"])
    definitions.update(LOOSE)
    write(folder / "definitions.json", {"definitions": definitions})
    for name, definition in definitions.items():
        for kind in definition.get("x-kubernetes-group-version-kind", ()):
            reference = {"$ref": f"definitions.json#/definitions/{name}"}
            write(folder / file_name(kind["group"], kind["version"], kind["kind"]), reference)
    for path in (*published(), *map(Path, sys.argv[2:])):
        for name, schema in custom(path):
            write(folder / name, schema)
    return 0


def module(name: str) -> Path:
    """Fetch a Go module, unless it is there already, and return its folder."""
    with tempfile.TemporaryDirectory() as outside:
        done = subprocess.run(
            ["go", "mod", "download", "-json", name], cwd=outside, capture_output=True, text=True, check=True
        )
    return Path(json.loads(done.stdout)["Dir"])


def published() -> Iterator[Path]:
    """Yield the files with custom resource definitions."""
    for name, folder in DEFINITIONS.items():
        yield from sorted((module(name) / folder).glob("*.yaml"))


def custom(path: Path) -> Iterator[tuple[str, Schema]]:
    """Yield the schemas in a file of custom resource definitions, with their file names."""
    for one in yaml.load_all(path.read_text(), Loader):
        if not one or one.get("kind") != "CustomResourceDefinition":
            continue
        spec = one["spec"]
        for version in spec["versions"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            anything: Schema = {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": {"type": "object"},
            }
            schema["properties"] = {**schema["properties"], **anything}
            yield file_name(spec["group"], version["name"], spec["names"]["kind"]), schema


def strict(schema: Any) -> Any:
    """Return a schema that refuses unknown fields, and accepts both forms of a value that may be a number or string."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: strict(value) for key, value in schema.items()}
    if result.get("x-kubernetes-int-or-string"):
        result.pop("type", None)
    closed = isinstance(result.get("properties"), dict) and result.get("type") == "object"
    if closed and not result.get("x-kubernetes-preserve-unknown-fields"):
        result.setdefault("additionalProperties", False)
    return result


def file_name(group: str, version: str, kind: str) -> str:
    """Return the file name under which kubeconform looks for a kind's schema."""
    return "-".join(part for part in (kind, group.split(".")[0], version) if part).lower() + ".json"


def write(path: Path, schema: Schema) -> None:
    """Write one schema."""
    path.write_text(json.dumps(schema))


if __name__ == "__main__":
    raise SystemExit(main())
